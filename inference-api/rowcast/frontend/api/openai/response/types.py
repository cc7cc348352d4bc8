"""The answers of the OpenAI dialect: each object as a typed structure, encoded as it is.

A field that is UNSET is left out. `seed` is our addition: with this seed the reply can be
reproduced. `usage` has two figures more than OpenAI's: `tokens_per_second` and `processing_time`.
"""

from typing import Literal

from msgspec import UNSET, Raw, Struct, UnsetType

from rowcast.frontend.reply.receipts import Receipt

FinishReason = Literal["stop", "length", "tool_calls"]


class PromptDetails(Struct, frozen=True):
    """How many of the prompts' tokens were computed for earlier requests."""

    cached_tokens: int = 0


class CompletionDetails(Struct, frozen=True):
    """How the replies' tokens were used; predictions are accepted without effect."""

    reasoning_tokens: int = 0
    accepted_prediction_tokens: int = 0
    rejected_prediction_tokens: int = 0


class Usage(Struct):
    """The tokens and time of a request."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int
    tokens_per_second: float
    processing_time: float
    prompt_tokens_details: PromptDetails = PromptDetails()
    completion_tokens_details: CompletionDetails = CompletionDetails()


class CompletionLogprobs(Struct):
    """Four lists with one entry per token, already encoded in a complete answer."""

    tokens: list[str] | Raw
    token_logprobs: list[float | None] | Raw
    top_logprobs: list[dict[str, float] | None] | Raw | None
    text_offset: list[int] | Raw


class CompletionChoice(Struct):
    """One choice, or a piece of it."""

    index: int
    text: str
    logprobs: CompletionLogprobs | None = None
    finish_reason: FinishReason | None = None
    token_ids: list[int] | UnsetType = UNSET
    prompt_token_ids: list[int] | UnsetType = UNSET  # of a stream, in each choice's first event


class Completion(Struct, kw_only=True):
    """POST /v1/completions; also each event of its stream."""

    id: str
    object: Literal["text_completion"] = "text_completion"
    created: int
    model: str
    choices: list[CompletionChoice]
    usage: Usage | UnsetType | None = UNSET
    system_fingerprint: str
    seed: int
    receipt: Receipt | UnsetType = UNSET


class TopLogprob(Struct):
    """An alternative token for the same place."""

    token: str
    logprob: float
    bytes: list[int] | None


class TokenLogprob(TopLogprob):
    """A token of the reply."""

    top_logprobs: list[TopLogprob]


class ChatLogprobs(Struct):
    """The reply's tokens, already encoded in a complete answer."""

    content: list[TokenLogprob] | Raw | None
    refusal: None = None


class FunctionCalled(Struct):
    """A function's name, and its arguments as JSON in a string."""

    name: str
    arguments: str


class CustomCalled(Struct):
    """A custom tool's name and its input."""

    name: str
    input: str


class ToolCalled(Struct):
    """A call that the model makes; `type` tells which kind."""

    id: str
    function: FunctionCalled | UnsetType = UNSET
    custom: CustomCalled | UnsetType = UNSET
    type: Literal["function", "custom"] = "function"


class ChatMessage(Struct):
    """The assistant's message."""

    content: str | None
    role: Literal["assistant"] = "assistant"
    refusal: None = None
    tool_calls: list[ToolCalled] | UnsetType = UNSET
    reasoning_content: str | UnsetType = UNSET
    reasoning: str | UnsetType = UNSET  # the same, as vLLM and OpenRouter name it


class ChatChoice(Struct):
    """One choice."""

    index: int
    message: ChatMessage
    finish_reason: FinishReason
    logprobs: ChatLogprobs | None = None


class ChatCompletion(Struct, kw_only=True):
    """POST /v1/chat/completions."""

    id: str
    object: Literal["chat.completion"] = "chat.completion"
    created: int
    model: str
    choices: list[ChatChoice]
    usage: Usage
    system_fingerprint: str
    seed: int
    receipt: Receipt | UnsetType = UNSET


class FunctionDelta(Struct):
    """More of a function's name or arguments."""

    name: str | UnsetType = UNSET
    arguments: str | UnsetType = UNSET


class CustomDelta(Struct):
    """More of a custom tool's name or input."""

    name: str | UnsetType = UNSET
    input: str | UnsetType = UNSET


class ToolDelta(Struct):
    """More of a call; its first delta has `id` and `type`."""

    index: int
    function: FunctionDelta | UnsetType = UNSET
    id: str | UnsetType = UNSET
    type: Literal["function", "custom"] | UnsetType = UNSET
    custom: CustomDelta | UnsetType = UNSET


class Delta(Struct):
    """More of the assistant's message."""

    role: Literal["assistant"] | UnsetType = UNSET
    content: str | UnsetType | None = UNSET
    tool_calls: list[ToolDelta] | UnsetType = UNSET
    reasoning_content: str | UnsetType = UNSET
    reasoning: str | UnsetType = UNSET  # the same, as vLLM and OpenRouter name it


class DeltaChoice(Struct):
    """More of one choice."""

    index: int
    delta: Delta
    logprobs: ChatLogprobs | None = None
    finish_reason: FinishReason | None = None


class ChatChunk(Struct, kw_only=True):
    """An event of a chat's stream."""

    id: str
    object: Literal["chat.completion.chunk"] = "chat.completion.chunk"
    created: int
    model: str
    choices: list[DeltaChoice]
    usage: Usage | UnsetType | None = UNSET
    system_fingerprint: str
    seed: int
    receipt: Receipt | UnsetType = UNSET


class TokenCount(Struct):
    """POST /v1/count_tokens."""

    model: str
    count: int


class Tokenized(Struct):
    """POST /tokenize."""

    count: int
    max_model_len: int
    tokens: list[int]
    token_strs: list[str] | None = None


class Detokenized(Struct):
    """POST /detokenize."""

    prompt: str
