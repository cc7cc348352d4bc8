"""The answers of the Messages API: messages, and the events of their streams.

A field that is UNSET is left out. An event's `type` is also its name in the stream.
"""

from typing import Any, Literal

from msgspec import UNSET, Raw, Struct, UnsetType

from rowcast.frontend.reply.receipts import Receipt

StopReason = Literal[
    "end_turn", "max_tokens", "stop_sequence", "tool_use", "model_context_window_exceeded"
]


class OutputDetails(Struct, frozen=True):
    """How the reply's tokens were used."""

    thinking_tokens: int


class MessageUsage(Struct):
    """The tokens of a request, so far; all four together are what it read and wrote."""

    input_tokens: int  # of the prompt, without those that were read from the cache
    output_tokens: int
    cache_creation_input_tokens: int = 0  # each prompt is stored, at no cost
    cache_read_input_tokens: int = 0
    output_tokens_details: OutputDetails | UnsetType = UNSET


class TextContent(Struct, tag_field="type", tag="text"):
    """Text of the reply."""

    text: str


class ThinkingContent(Struct, tag_field="type", tag="thinking"):
    """Reasoning; the signature is a digest of it."""

    thinking: str
    signature: str


class ToolUseContent(Struct, tag_field="type", tag="tool_use"):
    """A call that the model makes."""

    id: str
    name: str
    input: dict[str, Any] | Raw


Content = TextContent | ThinkingContent | ToolUseContent


class Message(Struct, kw_only=True):
    """POST /v1/messages."""

    id: str
    type: Literal["message"] = "message"
    role: Literal["assistant"] = "assistant"
    model: str
    content: list[Content]
    stop_reason: StopReason | None = None
    stop_sequence: str | None = None
    usage: MessageUsage
    receipt: Receipt | UnsetType = UNSET


class TextDelta(Struct, tag_field="type", tag="text_delta"):
    """More text."""

    text: str


class ThinkingDelta(Struct, tag_field="type", tag="thinking_delta"):
    """More reasoning."""

    thinking: str


class SignatureDelta(Struct, tag_field="type", tag="signature_delta"):
    """The digest of reasoning that has ended."""

    signature: str


class InputDelta(Struct, tag_field="type", tag="input_json_delta"):
    """More of a call's arguments."""

    partial_json: str


Delta = TextDelta | ThinkingDelta | SignatureDelta | InputDelta


class MessageStart(Struct, tag_field="type", tag="message_start"):
    """The beginning of a message, without content."""

    message: Message


class BlockStart(Struct, tag_field="type", tag="content_block_start"):
    """The beginning of a block, without content."""

    index: int
    content_block: Content


class BlockDelta(Struct, tag_field="type", tag="content_block_delta"):
    """More of the block that has begun."""

    index: int
    delta: Delta


class BlockStop(Struct, tag_field="type", tag="content_block_stop"):
    """The end of a block."""

    index: int


class Ended(Struct):
    """Why a message has ended."""

    stop_reason: StopReason
    stop_sequence: str | None = None


class MessageDelta(Struct, tag_field="type", tag="message_delta"):
    """The end of a message, with its usage as a whole."""

    delta: Ended
    usage: MessageUsage
    receipt: Receipt | UnsetType = UNSET


class MessageStop(Struct, tag_field="type", tag="message_stop"):
    """The last event."""


class Ping(Struct, tag_field="type", tag="ping"):
    """No news."""


BlockEvent = BlockStart | BlockDelta | BlockStop
MessageEvent = MessageStart | BlockEvent | MessageDelta | MessageStop


class TokensCounted(Struct):
    """POST /v1/messages/count_tokens."""

    input_tokens: int


class ListedModel(Struct, kw_only=True):
    """A model under one of its names."""

    id: str
    type: Literal["model"] = "model"
    display_name: str
    created_at: str
    lifecycle: Literal["active"] = "active"
    max_input_tokens: int | None
    max_tokens: int | None


class ListedModels(Struct, kw_only=True):
    """GET /v1/models; all of them are on the first page."""

    data: list[ListedModel]
    has_more: bool = False
    first_id: str | None
    last_id: str | None
