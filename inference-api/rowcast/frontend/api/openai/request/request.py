"""A validated request of the OpenAI dialect, and the ids and usage of its answer."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from flask import g
from msgspec import UNSET, UnsetType

from rowcast.frontend.api.openai.request.types import Sampling
from rowcast.frontend.api.openai.response.types import Usage
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.reply.receipts import Receipt, receipt_of
from rowcast.frontend.reply.replies import Replies
from rowcast.frontend.reply.text import ReplyText
from rowcast.frontend.request.origin import Origin
from rowcast.frontend.request.prompt import Prompt
from rowcast.sampling_params import SamplingParams
from rowcast.text.stop import StopSequences
from rowcast.wire import Status

REPLIES = 1024  # the maximum per request


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A validated request."""

    id: str
    kind: str
    created: int
    model: str
    status: Status
    seed: int
    prompts: tuple[Prompt, ...]
    texts: tuple[str, ...]  # the prompts' texts, for echo
    choices: int  # per prompt, as returned
    candidates: int  # per prompt, as computed
    stream: bool
    include_usage: bool = False
    continuous_usage: bool = False
    receipt: bool = False

    @property
    def fingerprint(self) -> str:
        return self.status.fingerprint

    @property
    def sums_up(self) -> bool:
        """True if the stream ends with an event about all replies."""
        return self.include_usage or self.receipt

    @property
    def replies(self) -> int:
        """The number of replies to compute."""
        return self.candidates * len(self.prompts)

    def known_as(self, origin: Origin) -> Self:
        """Return a copy with the id and time of the stream that the request has joined, if any."""
        return replace(self, id=f"{self.kind}-{origin.id}", created=int(origin.created))

    def usage(self, replies: Replies) -> Usage:
        """Return the usage so far."""
        prompt = sum(len(each.tokens) for each in self.prompts)
        completion = sum(reply.tokens for reply in replies)
        seconds = time.monotonic() - replies.opened
        return Usage(
            prompt_tokens=prompt,
            completion_tokens=completion,
            total_tokens=prompt + completion,
            tokens_per_second=round(completion / seconds, 3) if seconds > 0 else 0.0,
            processing_time=round(seconds, 6),
        )

    def last_usage(self, replies: Replies) -> Usage | UnsetType:
        """Return the usage for the last event of a stream."""
        return self.usage(replies) if self.include_usage else UNSET

    def receipt_of(self, told: Iterable[ReplyText]) -> Receipt | UnsetType:
        """Return the receipt of the replies that are sent, if requested."""
        return receipt_of(self.status, self.prompts[0].stop, told) if self.receipt else UNSET

    def usage_within(self, replies: Replies) -> Usage | UnsetType | None:
        """Return the usage for an event in the middle of a stream."""
        if self.continuous_usage:
            return self.usage(replies)
        return None if self.include_usage else UNSET


@dataclass(frozen=True, slots=True)
class PromptText:
    """A tokenized prompt and its text."""

    tokens: tuple[int, ...]
    text: str


def ask(
    frontend: Frontend,
    body: Sampling,
    prompts: Sequence[PromptText],
    params: SamplingParams,
    *,
    kind: str,
    candidates: int | None = None,
) -> Asked:
    """Join a body, its tokenized prompts and the caller."""
    origin = frontend.origin()
    seed = origin.seed if body.seed is None else body.seed
    choices = body.n or 1
    stop = StopSequences([body.stop] if isinstance(body.stop, str) else body.stop or ())
    options = body.stream_options
    include_usage = bool(options and options.include_usage)
    caller = frontend.caller()
    return Asked(
        id=f"{kind}-{origin.id}",
        created=int(origin.created),
        kind=kind,
        model=body.model,
        status=frontend.status(),
        seed=seed,
        prompts=tuple(
            Prompt(
                tokens=prompt.tokens,
                params=params,
                seed=seed % 2**64,
                caller=caller,
                dialect="openai",
                request_id=g.request_id,
                stop=stop,
                choices=range(candidates or choices),
                timeout=body.timeout,
            )
            for prompt in prompts
        ),
        texts=tuple(prompt.text for prompt in prompts),
        choices=choices,
        candidates=candidates or choices,
        stream=bool(body.stream),
        include_usage=include_usage,
        continuous_usage=include_usage and bool(options and options.continuous_usage_stats),
        receipt=bool(body.receipt),
    )
