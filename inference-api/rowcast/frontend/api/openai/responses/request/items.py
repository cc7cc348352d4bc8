"""The items of an input, each as a typed structure: messages, calls, their results, reasoning.

The items of an answer are accepted as they are, so a caller may send a conversation back.
"""

from typing import Annotated, Literal

from msgspec import Meta, Struct

ItemStatus = Literal["in_progress", "completed", "incomplete"]
Phase = Literal["commentary", "final_answer"]


class InputTextPart(Struct, tag_field="type", tag="input_text"):
    """Text of a person, a developer or a tool."""

    text: str


class OutputTextPart(Struct, tag_field="type", tag="output_text"):
    """Text of the model."""

    text: str


class RefusedPart(Struct, tag_field="type", tag="refusal"):
    """A refusal of the model; templates get it as text."""

    refusal: str


ContentPart = InputTextPart | OutputTextPart | RefusedPart


class MessageItem(Struct, tag_field="type", tag="message"):
    """A message; an item without `type` is one, too."""

    role: Literal["user", "assistant", "system", "developer"]
    content: str | list[ContentPart]
    id: str | None = None
    status: ItemStatus | None = None
    phase: Phase | None = None


class FunctionCallItem(Struct, tag_field="type", tag="function_call"):
    """A call that the model has made."""

    call_id: str
    name: str
    arguments: str
    id: str | None = None
    status: ItemStatus | None = None


class FunctionOutputItem(Struct, tag_field="type", tag="function_call_output"):
    """The result of a call."""

    call_id: str
    output: str | list[InputTextPart]
    id: str | None = None
    status: ItemStatus | None = None


class SummaryPart(Struct, tag_field="type", tag="summary_text"):
    """A summary of reasoning."""

    text: str


class ReasoningPart(Struct, tag_field="type", tag="reasoning_text"):
    """Reasoning."""

    text: str


class ReasoningItem(Struct, tag_field="type", tag="reasoning"):
    """Reasoning of an earlier answer."""

    summary: list[SummaryPart] = []
    content: list[ReasoningPart] | None = None
    encrypted_content: str | None = None  # no effect
    id: str | None = None
    status: ItemStatus | None = None


InputItem = MessageItem | FunctionCallItem | FunctionOutputItem | ReasoningItem
InputItems = Annotated[list[InputItem], Meta(min_length=1, max_length=10_000)]
