"""TGI's answers, as typed structures, encoded as they are."""

from typing import Literal

from msgspec import UNSET, Raw, Struct, UnsetType

FinishReason = Literal["length", "eos_token", "stop_sequence"]


class PrefillToken(Struct):
    """A token of the prompt; the first one has no log-probability."""

    id: int
    text: str
    logprob: float | None


class Token(Struct):
    """A token of the reply; the end-of-text token has no log-probability."""

    id: int
    text: str
    logprob: float | None
    special: bool


class ReplyDetails(Struct, kw_only=True):
    """How one reply was generated. Lists of tokens are already encoded."""

    finish_reason: FinishReason
    generated_tokens: int
    seed: int | None  # None: nothing was drawn
    prefill: list[PrefillToken] | Raw
    tokens: list[Token] | Raw
    top_tokens: list[list[Token]] | Raw | UnsetType = UNSET


class BestOfSequence(ReplyDetails, kw_only=True):
    """A reply that was not the best."""

    generated_text: str


class Details(ReplyDetails, kw_only=True):
    """How the best reply was generated."""

    best_of_sequences: list[BestOfSequence] | UnsetType = UNSET


class GenerateResponse(Struct, kw_only=True):
    """POST /generate without a stream."""

    generated_text: str
    details: Details | UnsetType = UNSET


class StreamDetails(Struct, kw_only=True):
    """How a streamed reply was generated."""

    finish_reason: FinishReason
    generated_tokens: int
    seed: int | None
    input_length: int


class StreamResponse(Struct, kw_only=True):
    """One token; the last one with the whole text."""

    index: int
    token: Token
    top_tokens: list[Token] | UnsetType = UNSET
    generated_text: str | None = None
    details: StreamDetails | None = None


class Info(Struct, kw_only=True):
    """GET /info."""

    model_id: str
    model_sha: None = None
    model_pipeline_tag: Literal["text-generation"] = "text-generation"
    max_concurrent_requests: int
    max_best_of: int
    max_stop_sequences: int
    max_input_tokens: int
    max_total_tokens: int
    max_client_batch_size: int = 1
    validation_workers: int
    router: str = "rowcast"
    version: str
    sha: None = None
    docker_label: None = None
