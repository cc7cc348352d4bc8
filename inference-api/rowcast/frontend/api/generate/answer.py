"""The answer of `/generate` to a prompt: the keys of three systems in one object."""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from rowcast.frontend.api.openai.response.types import CompletionLogprobs
from rowcast.frontend.reply.receipts import Receipt


class TokenCounts(Struct):
    """The tokens of a request and its replies."""

    prompt_tokens: int
    completion_tokens: int
    total_tokens: int


class Generated(Struct, kw_only=True):
    """POST /generate without a stream.

    `response` and `result` are the first choice alone; `text` is the prompt and each choice.
    """

    prompt: str
    response: str
    text: list[str]
    status: Literal["finished"] = "finished"
    result: str
    model: str
    usage: TokenCounts
    finish_reasons: list[Literal["stop", "length"]]  # of each choice
    seed: int
    logprobs: list[CompletionLogprobs | None] | UnsetType = UNSET  # of each choice
    receipt: Receipt | UnsetType = UNSET
