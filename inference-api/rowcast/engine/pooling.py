"""From the last states of a prompt's tokens to its one vector, however the prompt is fed.

    last   the state of the last token
    mean   the mean of all states, summed in fp64 token by token, so that pieces change no bit

A state is what the model's head would read: the output of the last layer, after the last norm. The
vector is neither shortened nor normalized here: frontends do that.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rowcast.engine.engine import Drawn, DrawnVector, Feed, Seating
from rowcast.wire import Pooling

NOT_FINITE = "the model's numbers are not finite"

States = Callable[[Sequence[int]], Tensor]  # of these slots of the last step, one row each


@dataclass(slots=True)
class _Pool:
    """The states of one row so far."""

    pooling: Pooling
    length: int  # of the prompt
    total: Tensor | None = None

    def wanted(self, feed: Feed) -> range:
        """Return which of a feed's tokens have a state that the vector needs."""
        count = len(feed.tokens)
        if self.pooling == "mean":
            return range(count)
        return range(count - self._ends_with(feed), count)

    def take(self, feed: Feed, states: Tensor) -> Drawn | None:
        """Add the wanted states of a feed; return the vector once the prompt is complete."""
        for state in states.double():
            self.total = state.clone() if self.total is None else self.total.add_(state)
        if self.total is None or not self._ends_with(feed):
            return None
        vector = self.total / (self.length if self.pooling == "mean" else 1)
        return _drawn(feed.row, vector.float())

    def _ends_with(self, feed: Feed) -> bool:
        return feed.position + len(feed.tokens) == self.length


class Pools:
    """The seated rows whose prompts become vectors."""

    def __init__(self) -> None:
        self._rows: dict[int, _Pool] = {}

    def __bool__(self) -> bool:
        return bool(self._rows)

    def seat(self, row: int, seating: Seating) -> None:
        """Begin with a row's prompt, if it is to become a vector."""
        self.leave(row)
        if seating.pooling is not None:
            self._rows[row] = _Pool(seating.pooling, seating.prompt_length)

    def leave(self, row: int) -> None:
        self._rows.pop(row, None)

    def drawn(self, feeds: Sequence[Feed], states: States) -> list[Drawn]:
        """Return the vectors that a step has completed. `states` reads those of its slots."""
        wanted = list(self._wanted(feeds))
        if not any(slots for _, slots in wanted):
            return []
        read = states([slot for _, slots in wanted for slot in slots]).cpu()
        parts = torch.split(read, [len(slots) for _, slots in wanted])
        taken = [
            self._rows[feed.row].take(feed, part)
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


def _drawn(row: int, vector: Tensor) -> Drawn:
    if not torch.isfinite(vector).all():
        return Drawn(row, (), problem=NOT_FINITE)
    return DrawnVector(row, (), vector=vector.numpy().astype("<f4", copy=False).tobytes())
