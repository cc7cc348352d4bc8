"""Token ids as EasyDeL's `generate` takes and yields them: arrays of padded sequences.

unpadded(input_ids, mask)   ──▶ prompts without padding, and the width that they had
States(…).read(events)      ──▶ a SampleState each time the shortest reply has another chunk
"""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy

from rowcast.errors import RowcastError


@dataclass(frozen=True, slots=True)
class SampleState:
    """All sequences so far: prompts, padded on the left, and replies, filled up on the right."""

    sequences: Any
    padded_length: int  # where the replies begin
    generated_tokens: int
    tokens_per_second: float

    @property
    def tokens_pre_second(self) -> float:
        """The same, as earlier versions of EasyDeL spell it."""
        return self.tokens_per_second


def unpadded(input_ids: Any, attention_mask: Any) -> tuple[list[list[int]], int]:
    """Return each prompt's token ids, and the width of the array. Raises RowcastError."""
    ids = numpy.atleast_2d(numpy.asarray(input_ids))
    mask = numpy.ones_like(ids) if attention_mask is None else numpy.asarray(attention_mask)
    if ids.ndim != 2 or ids.dtype.kind not in "iu":
        raise RowcastError("input_ids must be one list of token ids per prompt, all equally long")
    mask = numpy.atleast_2d(mask)
    if mask.shape != ids.shape:
        raise RowcastError(f"attention_mask is {mask.shape}, and input_ids {ids.shape}")
    return [row[real != 0].tolist() for row, real in zip(ids, mask, strict=True)], ids.shape[1]


class States:
    """The states of one call: replies are numbered prompt by prompt."""

    def __init__(
        self, prompts: Sequence[Sequence[int]], width: int, count: int, chunk: int, pad: int
    ) -> None:
        """`count`: replies per prompt. `chunk`: tokens between two states."""
        self._prompts = [prompt for prompt in prompts for _ in range(count)]
        self._replies: list[list[int]] = [[] for _ in self._prompts]
        self._width = width
        self._chunk = chunk
        self._pad = pad
        self._began = time.monotonic()

    def read(self, events: Iterable[Mapping[str, Any]]) -> Iterator[SampleState]:
        """Yield a state for each chunk that all unfinished replies have; then the rest."""
        shown, running = 0, {*range(len(self._replies))}
        for choice in (choice for event in events for choice in event["choices"]):
            self._replies[choice["index"]] += choice["token_ids"]
            if choice["finish_reason"]:
                running.discard(choice["index"])
            while running and shown + self._chunk <= self._common(running):
                shown += self._chunk
                yield self._state(shown)
        longest = max(map(len, self._replies))
        for shown_next in range(shown + self._chunk, longest + self._chunk, self._chunk):
            yield self._state(min(shown_next, longest))

    def _common(self, running: Iterable[int]) -> int:
        """Return how many tokens all unfinished replies have."""
        return min(len(self._replies[each]) for each in running)

    def _state(self, length: int) -> SampleState:
        """Return the sequences with the first `length` tokens of each reply."""
        shape = (len(self._prompts), self._width + length)
        sequences = numpy.full(shape, self._pad, dtype=numpy.int64)
        generated = 0
        for row, prompt, reply in zip(sequences, self._prompts, self._replies, strict=True):
            row[self._width - len(prompt) : self._width] = prompt
            some = reply[:length]
            row[self._width : self._width + len(some)] = some
            generated += len(some)
        seconds = max(1e-9, time.monotonic() - self._began)
        return SampleState(sequences, self._width, generated, generated / seconds)
