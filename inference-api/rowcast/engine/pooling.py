"""From what a model computes for a prompt's tokens to the prompt's one vector, however it is fed.

    last     the state of the last token
    mean     the mean of all states, summed in fp64 token by token, so that pieces change no bit
    label    a classifier's number: its weight times the state of the last token, in fp64
    logits   those of some tokens, as the next one: before any parameter, mask or penalty

A state is what the model's head would read: the output of the last layer, after the last norm. The
vector is neither shortened nor normalized here: frontends do that.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rowcast.engine.engine import Drawn, DrawnVector, Feed, Seating

NOT_FINITE = "the model's numbers are not finite"

States = Callable[[Sequence[int]], Tensor]  # of these slots of the last step, one row each


@dataclass(slots=True)
class _Pool:
    """The states of one row so far."""

    seating: Seating
    total: Tensor | None = None

    def wanted(self, feed: Feed) -> range:
        """Return which of a feed's tokens have a state that the vector needs."""
        count = len(feed.tokens)
        if self.seating.pooling == "mean":
            return range(count)
        needs_state = self.seating.pooling != "logits" and self.ends_with(feed)
        return range(count - needs_state, count)

    def take(self, feed: Feed, states: Tensor, classifier: Tensor | None) -> Drawn | None:
        """Add the wanted states of a feed; return the vector once the prompt is complete."""
        for state in states.double():
            self.total = state.clone() if self.total is None else self.total.add_(state)
        if self.total is None or not self.ends_with(feed):
            return None
        if self.seating.pooling == "label" and classifier is not None:
            return _drawn(feed.row, classifier.mul(self.total).sum(1).float())
        count = self.seating.prompt_length if self.seating.pooling == "mean" else 1
        return _drawn(feed.row, (self.total / count).float())

    def ends_with(self, feed: Feed) -> bool:
        """True if the feed completes the prompt."""
        return feed.position + len(feed.tokens) == self.seating.prompt_length


class Pools:
    """The seated rows whose prompts become vectors."""

    def __init__(self, classifier: Tensor | None = None) -> None:
        """`classifier`: the weight of a head of labels, one row each."""
        self._rows: dict[int, _Pool] = {}
        self._classifier = None if classifier is None else classifier.detach().cpu().double()

    def __bool__(self) -> bool:
        return bool(self._rows)

    def seat(self, row: int, seating: Seating) -> None:
        """Begin with a row's prompt, if it is to become a vector."""
        self.leave(row)
        if seating.pooling is not None:
            self._rows[row] = _Pool(seating)

    def leave(self, row: int) -> None:
        self._rows.pop(row, None)

    def logit_slots(self, feeds: Sequence[Feed]) -> list[int]:
        """Return the slots of a step whose logits become vectors."""
        return [slot for _, slot in self._ending(feeds)]

    def drawn(self, feeds: Sequence[Feed], states: States, logits: Tensor) -> list[Drawn]:
        """Return the vectors that a step has completed.

        `states` reads those of its slots; `logits`: those of the `logit_slots`.
        """
        read = [
            _drawn(feed.row, row[list(self._rows[feed.row].seating.logits)].float().cpu())
            for (feed, _), row in zip(self._ending(feeds), logits, strict=True)
        ]
        return self._pooled(feeds, states) + read

    def _pooled(self, feeds: Sequence[Feed], states: States) -> list[Drawn]:
        """Return the vectors that are made of states."""
        wanted = list(self._wanted(feeds))
        if not any(slots for _, slots in wanted):
            return []
        read = states([slot for _, slots in wanted for slot in slots]).cpu()
        parts = torch.split(read, [len(slots) for _, slots in wanted])
        taken = [
            self._rows[feed.row].take(feed, part, self._classifier)
            for (feed, _), part in zip(wanted, parts, strict=True)
        ]
        return [each for each in taken if each is not None]

    def _wanted(self, feeds: Sequence[Feed]) -> Iterator[tuple[Feed, Sequence[int]]]:
        """Yield the feeds of these rows, each with its wanted slots in the step."""
        begin = 0
        for feed in feeds:
            if (pool := self._rows.get(feed.row)) is not None:
                yield feed, [begin + at for at in pool.wanted(feed)]
            begin += len(feed.tokens)

    def _ending(self, feeds: Sequence[Feed]) -> Iterator[tuple[Feed, int]]:
        """Yield the feeds that complete a prompt whose logits are read, each with its last slot."""
        last = -1
        for feed in feeds:
            last += len(feed.tokens)
            pool = self._rows.get(feed.row)
            if pool and pool.seating.pooling == "logits" and pool.ends_with(feed):
                yield feed, last


def _drawn(row: int, vector: Tensor) -> Drawn:
    if not torch.isfinite(vector).all():
        return Drawn(row, (), problem=NOT_FINITE)
    return DrawnVector(row, (), vector=vector.numpy().astype("<f4", copy=False).tobytes())
