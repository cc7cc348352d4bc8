"""What an LLM returns, by vLLM's names.

RequestOutput         one prompt with its replies
CompletionOutput      one reply
Logprob               the log-probability of a token at one position
Score                 the log-probabilities of a text
"""

from dataclasses import dataclass, field
from typing import Any, Literal

FinishReason = Literal["stop", "length", "abort"]


@dataclass(frozen=True, slots=True)
class Logprob:
    """The log-probability of a token. `rank`: 1 is the likeliest; None if it is not known."""

    logprob: float
    rank: int | None = None
    decoded_token: str | None = None


Logprobs = list[dict[int, Logprob]]  # by position; at each, the token itself and the likeliest
PromptLogprobs = list[dict[int, Logprob] | None]  # the first token of a prompt has none


@dataclass(frozen=True, slots=True)
class CompletionOutput:
    """One reply."""

    index: int
    text: str
    token_ids: list[int]  # without the token that ended it
    cumulative_logprob: float | None = None
    logprobs: Logprobs | None = None
    finish_reason: FinishReason | None = None  # None: it has not ended
    stop_reason: str | None = None  # the stop string that ended it
    message: dict[str, Any] | None = None  # of a chat: the message, in OpenAI's form

    def finished(self) -> bool:
        """True if the reply has ended."""
        return self.finish_reason is not None


@dataclass(frozen=True, slots=True)
class RequestOutput:
    """One prompt with its replies."""

    request_id: str
    prompt: str | None  # None if it was given as token ids
    prompt_token_ids: list[int]
    outputs: list[CompletionOutput]
    finished: bool
    seed: int  # with it, the same prompt and parameters give the same replies
    prompt_logprobs: PromptLogprobs | None = None
    num_cached_tokens: int = 0  # of the prompt, that were computed for an earlier one


@dataclass(frozen=True, slots=True)
class Score:
    """The log-probabilities of a text, or of its continuation alone."""

    token_ids: list[int]
    logprobs: list[float | None]  # None: the first token of all, which has no predecessor
    cumulative_logprob: float = field(init=False)

    def __post_init__(self) -> None:
        """Add up the known ones."""
        known = sum(each for each in self.logprobs if each is not None)
        object.__setattr__(self, "cumulative_logprob", known)
