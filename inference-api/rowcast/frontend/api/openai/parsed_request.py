"""A validated request of the OpenAI dialect, and the ids and usage of its answer."""

import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Self

from msgspec import UNSET, UnsetType

from rowcast.frontend.api.bodies.types import ReplyBody
from rowcast.frontend.api.openai.response.types import PromptDetails, Usage
from rowcast.frontend.reply.receipts import Receipt, receipt_of
from rowcast.frontend.reply.replies import Replies
from rowcast.frontend.reply.text import ReplyText
from rowcast.frontend.request.origin import Origin
from rowcast.frontend.request.prompt import Prompt
from rowcast.frontend.request.request import Request
from rowcast.frontend.served_model import ServedModel
from rowcast.sampling_params import SamplingParams
from rowcast.wire import Status

REPLIES = 1024  # the maximum per request


@dataclass(frozen=True, slots=True, kw_only=True)
class ParsedRequest:
    """A validated request."""

    id: str
    kind: str
    created: int
    seed: int
    body: ReplyBody
    origin: Origin
    status: Status
    prompts: tuple[Prompt, ...]
    candidates: int  # replies per prompt, as computed

    @property
    def model(self) -> str:
        return self.body.model

    @property
    def fingerprint(self) -> str:
        return self.status.fingerprint

    @property
    def choices(self) -> int:
        """Replies per prompt, as returned."""
        return self.body.n or 1

    @property
    def include_usage(self) -> bool:
        options = self.body.stream_options
        return bool(options and options.include_usage)

    @property
    def sums_up(self) -> bool:
        """True if the stream ends with an event about all replies."""
        return self.include_usage or bool(self.body.receipt)

    def known_as(self, origin: Origin) -> Self:
        """Return a copy with the id and time of the stream that the request has joined, if any."""
        return replace(self, id=f"{self.kind}-{origin.id}", created=int(origin.created))

    def usage(self, replies: Replies) -> Usage:
        """Return the usage so far. No cached tokens are counted before a reply's first token."""
        prompt = sum(len(each.tokens) for each in self.prompts)
        completion = sum(reply.tokens for reply in replies)
        seconds = time.monotonic() - replies.opened
        return Usage(
            prompt_tokens=prompt,
            completion_tokens=completion,
            total_tokens=prompt + completion,
            tokens_per_second=round(completion / seconds, 3) if seconds > 0 else 0.0,
            processing_time=round(seconds, 6),
            prompt_tokens_details=PromptDetails(self._cached(replies)),
        )

    def _cached(self, replies: Replies) -> int:
        """Return how many of the prompts' tokens were cached: those of their first replies."""
        firsts = (replies[at] for at in range(0, len(replies), self.candidates))
        return sum(each.cached_tokens() for each in firsts if each.tokens or each.ending)

    def last_usage(self, replies: Replies) -> Usage | UnsetType:
        """Return the usage for the last event of a stream."""
        return self.usage(replies) if self.include_usage else UNSET

    def receipt_of(self, sent: Iterable[ReplyText]) -> Receipt | UnsetType:
        """Return the receipt of the replies that are sent, if requested."""
        return receipt_of(self.status, self.prompts[0].stop, sent) if self.body.receipt else UNSET

    @property
    def counts_within(self) -> bool:
        """True if each event in the middle of a stream has the usage so far."""
        options = self.body.stream_options
        return bool(options and options.include_usage and options.continuous_usage_stats)

    @property
    def no_usage(self) -> UnsetType | None:
        """What an event in the middle of a stream has instead."""
        return None if self.include_usage else UNSET


def parsed_request(
    served: ServedModel,
    request: Request,
    body: ReplyBody,
    prompts: Sequence[tuple[tuple[int, ...], str]],
    params: SamplingParams,
    *,
    kind: str,
    candidates: int | None = None,
    hidden: tuple[tuple[int, str], ...] = (),
) -> ParsedRequest:
    """Join a body, its prompts (tokens and text) and the request's origin.

    `hidden`: special tokens of the model that the text shows.
    """
    origin = request.origin()
    seed = origin.seed if body.seed is None else body.seed
    computed = candidates or body.n or 1
    shared = Prompt(
        tokens=(),
        params=params,
        seed=seed % 2**64,
        dialect="openai",
        stop=body.stop_sequences,
        choices=range(computed),
        timeout=body.timeout,
        cache_salt=body.cache_salt or "",
        shown=hidden,
    )
    return ParsedRequest(
        id=f"{kind}-{origin.id}",
        kind=kind,
        created=int(origin.created),
        seed=seed,
        body=body,
        origin=origin,
        status=served.status(),
        prompts=tuple(replace(shared, tokens=tokens, text=text) for tokens, text in prompts),
        candidates=computed,
    )
