"""The request bodies of the Messages API, each as a typed structure.

Objects within a body may have members that are not listed, such as `cache_control`; they have no
effect. The fields of a body are listed completely, with those of OpenAI's dialect that steer
sampling.
"""

from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from rowcast.errors import InvalidField
from rowcast.frontend.api.anthropic.errors import ThreadRefused
from rowcast.frontend.api.bodies.types import Count, ModelName, Object, Sampling, Stops
from rowcast.text.stop import StopSequences

MOST_MESSAGES, MOST_TOOLS = 10_000, 1024

ToolName = Annotated[str, Meta(pattern="^[A-Za-z0-9_.-]{1,128}$")]


class TextBlock(Struct, tag_field="type", tag="text"):
    """Text."""

    text: str


class SystemBlock(Struct):
    """Text of instructions."""

    type: Literal["text"]
    text: str


class ImageBlock(Struct, tag_field="type", tag="image"):
    """An image."""

    source: Object


class DocumentBlock(Struct, tag_field="type", tag="document"):
    """A document."""

    source: Object


class ThinkingBlock(Struct, tag_field="type", tag="thinking"):
    """Reasoning of an earlier turn; its signature is not verified."""

    thinking: str
    signature: str | None = None


class RedactedThinkingBlock(Struct, tag_field="type", tag="redacted_thinking"):
    """Reasoning that another server has encrypted; it is left out."""

    data: str


class ToolUseBlock(Struct, tag_field="type", tag="tool_use"):
    """A call of an earlier turn."""

    id: str
    name: str
    input: Object


ResultBlock = TextBlock | ImageBlock | DocumentBlock


class ToolResultBlock(Struct, tag_field="type", tag="tool_result"):
    """The result of a call."""

    tool_use_id: str
    content: str | list[ResultBlock] | None = None
    is_error: bool | None = None


UserBlock = TextBlock | ImageBlock | DocumentBlock | ToolResultBlock
AssistantBlock = TextBlock | ThinkingBlock | RedactedThinkingBlock | ToolUseBlock
Block = UserBlock | AssistantBlock | SystemBlock


class UserTurn(Struct, tag_field="role", tag="user"):
    """A message of a person, or the results of tools."""

    content: str | list[UserBlock]


class AssistantTurn(Struct, tag_field="role", tag="assistant"):
    """An earlier message of the model; as the last one, the beginning of the reply."""

    content: str | list[AssistantBlock]


class SystemTurn(Struct, tag_field="role", tag="system"):
    """Instructions in the middle of a conversation."""

    content: str | list[SystemBlock]


Turn = UserTurn | AssistantTurn | SystemTurn


class ClientTool(Struct):
    """A tool that the caller runs."""

    name: ToolName
    input_schema: Object | None = None
    description: str | None = None
    strict: bool | None = None
    type: str | None = None

    def __post_init__(self) -> None:
        if self.type not in {None, "custom"}:
            raise ValueError(
                f"{self.type[:40]!r} is a tool that this server does not know; send tools with an "
                "input_schema"
            )
        if self.input_schema is None:
            raise ValueError("Object missing required field `input_schema`")


class AutoChoice(Struct, tag_field="type", tag="auto"):
    """The model decides whether it calls tools."""

    disable_parallel_tool_use: bool | None = None


class AnyChoice(Struct, tag_field="type", tag="any"):
    """The model must call a tool."""

    disable_parallel_tool_use: bool | None = None


class OneChoice(Struct, tag_field="type", tag="tool"):
    """The model must call this tool."""

    name: str
    disable_parallel_tool_use: bool | None = None


class NoChoice(Struct, tag_field="type", tag="none"):
    """The model sees no tools."""


Choice = AutoChoice | AnyChoice | OneChoice | NoChoice


class ThinkingEnabled(Struct, tag_field="type", tag="enabled"):
    """The model thinks first; `max_tokens` alone limits for how long."""

    budget_tokens: Count | None = None
    display: Literal["summarized", "omitted"] | None = None


class ThinkingAdaptive(Struct, tag_field="type", tag="adaptive"):
    """The model may think first."""

    display: Literal["summarized", "omitted"] | None = None


class ThinkingDisabled(Struct, tag_field="type", tag="disabled"):
    """The model does not think first, if its template has a switch for that."""


ThinkingConfig = ThinkingEnabled | ThinkingAdaptive | ThinkingDisabled


class JsonOutput(Struct):
    """Text that is JSON of this schema."""

    type: Literal["json_schema"]
    schema: Object


class OutputConfig(Struct):
    """What the reply's text must be; `effort` has no effect."""

    format: JsonOutput | None = None
    effort: str | None = None


class Metadata(Struct):
    """About the request; no effect."""

    user_id: str | None = None


class Conversation(Sampling, kw_only=True):
    """The fields of a message and of counting its tokens."""

    model: ModelName
    messages: Annotated[list[Turn], Meta(min_length=1, max_length=MOST_MESSAGES)]
    system: str | list[SystemBlock] | None = None
    tools: Annotated[list[ClientTool], Meta(max_length=MOST_TOOLS)] | None = None
    tool_choice: Choice | None = None
    thinking: ThinkingConfig | None = None
    output_config: OutputConfig | None = None
    sent_stops: Stops | None = msgspec.field(default=None, name="stop_sequences")
    chat_template_kwargs: Object | None = None
    # These have no effect.
    metadata: Metadata | None = None
    service_tier: str | None = None
    cache_control: Object | None = None
    context_management: Any = None
    diagnostics: Any = None
    inference_geo: str | None = None
    speed: str | None = None
    thread: Object | None = None  # refused

    def __post_init__(self) -> None:
        if self.thread is not None:
            raise ThreadRefused
        if self.n is not None and self.n > 1:
            raise InvalidField("n", f"is {self.n}; a message has one reply, so leave it out")
        if self.stop is not None and self.sent_stops is not None:
            raise InvalidField("stop", "is another name of stop_sequences; send one of them")

    @property
    def stop_sequences(self) -> StopSequences:
        """The strings that end the reply."""
        stop = self.sent_stops if self.stop is None else self.stop
        return StopSequences([stop] if isinstance(stop, str) else stop or ())


class MessageBody(Conversation, kw_only=True):
    """POST /v1/messages."""

    max_tokens: Count


class CountMessageBody(Conversation, kw_only=True):
    """POST /v1/messages/count_tokens."""

    max_tokens: Count | None = None
