"""The answer of /v1/responses: the response object, its items, and the events of its stream.

A field that is UNSET is left out. `seed`, `system_fingerprint` and `receipt` are our additions.
Nothing in an answer depends on time, except `created_at`, which is recorded: read again, it has
the same bytes.
"""

from typing import Any, Literal

from msgspec import UNSET, Struct, UnsetType

from rowcast.frontend.api.openai.response.types import TokenLogprob
from rowcast.frontend.api.openai.responses.request.items import ItemStatus, ReasoningPart
from rowcast.frontend.reply.receipts import Receipt

ResponseStatus = Literal["queued", "in_progress", "completed", "incomplete", "failed", "cancelled"]


class OutputText(Struct, tag_field="type", tag="output_text"):
    """The text of a message."""

    text: str = ""
    annotations: list[Any] = []  # always empty
    logprobs: list[TokenLogprob] = []


class OutputMessage(Struct, tag_field="type", tag="message"):
    """A message of the model."""

    id: str
    status: ItemStatus
    content: list[OutputText]
    role: Literal["assistant"] = "assistant"


class OutputReasoning(Struct, tag_field="type", tag="reasoning"):
    """Reasoning of the model, as it was written; it is not summarized."""

    id: str
    status: ItemStatus
    content: list[ReasoningPart]
    summary: list[Any] = []  # always empty


class OutputCall(Struct, tag_field="type", tag="function_call"):
    """A function that the model calls."""

    id: str
    status: ItemStatus
    call_id: str
    name: str
    arguments: str


OutputItem = OutputMessage | OutputReasoning | OutputCall


class CachedTokens(Struct, frozen=True):
    """How many of the prompt's tokens were computed for earlier requests."""

    cached_tokens: int = 0
    cache_write_tokens: int = 0  # each prompt is stored, at no cost


class ReasoningTokens(Struct, frozen=True):
    """How many of the reply's tokens were reasoning."""

    reasoning_tokens: int = 0


class ResponseUsage(Struct):
    """The tokens of a request."""

    input_tokens: int
    output_tokens: int
    total_tokens: int
    input_tokens_details: CachedTokens
    output_tokens_details: ReasoningTokens


class IncompleteDetails(Struct, frozen=True):
    """Why an answer is incomplete."""

    reason: Literal["max_output_tokens"] = "max_output_tokens"


class ResponseFailure(Struct, frozen=True):
    """Why an answer failed."""

    message: str
    code: Literal["server_error"] = "server_error"


class ResponseObject(Struct, kw_only=True):
    """POST /v1/responses, GET /v1/responses/{id}, and part of some events."""

    id: str
    object: Literal["response"] = "response"
    created_at: int
    status: ResponseStatus
    background: bool
    error: ResponseFailure | None = None
    incomplete_details: IncompleteDetails | None = None
    instructions: str | None
    max_output_tokens: int | None
    max_tool_calls: int | None
    metadata: dict[str, str]
    model: str
    output: list[OutputItem]
    parallel_tool_calls: bool
    previous_response_id: str | None
    prompt_cache_key: str | None
    reasoning: Any
    safety_identifier: str | None
    store: bool
    temperature: float | None
    text: Any
    tool_choice: Any
    tools: Any
    top_logprobs: int
    top_p: float | None
    truncation: Literal["disabled"] = "disabled"
    usage: ResponseUsage | None = None
    user: str | None
    seed: int | UnsetType = UNSET
    system_fingerprint: str | UnsetType = UNSET
    receipt: Receipt | UnsetType = UNSET


class DeletedResponse(Struct):
    """DELETE /v1/responses/{id}."""

    id: str
    object: Literal["response"] = "response"
    deleted: bool = True


class ItemList(Struct, kw_only=True):
    """GET /v1/responses/{id}/input_items."""

    object: Literal["list"] = "list"
    data: list[Any]
    first_id: str | None
    last_id: str | None
    has_more: bool


class InputTokens(Struct):
    """POST /v1/responses/input_tokens."""

    input_tokens: int
    object: Literal["response.input_tokens"] = "response.input_tokens"
