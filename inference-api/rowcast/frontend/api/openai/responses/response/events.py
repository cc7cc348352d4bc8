"""The events of a response's stream, in OpenAI's format.

`sequence_number` is set when the event is sent. All but the first and the last belong to an item.
"""

from msgspec import Struct

from rowcast.frontend.api.openai.response.types import TokenLogprob
from rowcast.frontend.api.openai.responses.request.items import ReasoningPart
from rowcast.frontend.api.openai.responses.response.types import (
    OutputItem,
    OutputText,
    ResponseObject,
)


class Event(Struct, tag_field="type", kw_only=True):
    """Any event. The first has number 0."""

    sequence_number: int = 0

    @property
    def name(self) -> str:
        """The event's type."""
        return str(self.__struct_config__.tag)


class _OfResponse(Event, kw_only=True):
    response: ResponseObject


class ResponseCreated(_OfResponse, tag="response.created"):
    """The request was accepted."""


class ResponseQueued(_OfResponse, tag="response.queued"):
    """The response waits for a row, in the background."""


class ResponseInProgress(_OfResponse, tag="response.in_progress"):
    """The response is being computed."""


class ResponseCompleted(_OfResponse, tag="response.completed"):
    """The response is complete; the last event."""


class ResponseIncomplete(_OfResponse, tag="response.incomplete"):
    """The response has reached its maximum of tokens; the last event."""


class ResponseFailed(_OfResponse, tag="response.failed"):
    """The response has failed; the last event."""


class _OfOutput(Event, kw_only=True):
    output_index: int


class ItemAdded(_OfOutput, tag="response.output_item.added"):
    """An item begins."""

    item: OutputItem


class ItemDone(_OfOutput, tag="response.output_item.done"):
    """An item is complete."""

    item: OutputItem


class _OfItem(_OfOutput, kw_only=True):
    item_id: str


class _OfContent(_OfItem, kw_only=True):
    content_index: int = 0


class PartAdded(_OfContent, tag="response.content_part.added"):
    """A part of an item begins."""

    part: OutputText | ReasoningPart


class PartDone(_OfContent, tag="response.content_part.done"):
    """A part of an item is complete."""

    part: OutputText | ReasoningPart


class OutputTextDelta(_OfContent, tag="response.output_text.delta"):
    """More text of a message."""

    delta: str
    logprobs: list[TokenLogprob] = []


class TextDone(_OfContent, tag="response.output_text.done"):
    """The text of a message."""

    text: str
    logprobs: list[TokenLogprob] = []


class ReasoningDelta(_OfContent, tag="response.reasoning_text.delta"):
    """More reasoning."""

    delta: str


class ReasoningDone(_OfContent, tag="response.reasoning_text.done"):
    """The reasoning."""

    text: str


class ArgumentsDelta(_OfItem, tag="response.function_call_arguments.delta"):
    """More arguments of a call."""

    delta: str


class ArgumentsDone(_OfItem, tag="response.function_call_arguments.done"):
    """The arguments of a call."""

    name: str
    arguments: str


class ErrorEvent(Event, tag="error"):
    """The request was refused after its stream had begun."""

    message: str
    code: str | None = None
    param: str | None = None


Delta = OutputTextDelta | ReasoningDelta | ArgumentsDelta
