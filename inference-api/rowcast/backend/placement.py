"""Which free row a reply takes, and what that row still holds.

    take(reply) ──▶ Place: a free row, and how many of the reply's first tokens are in its cache, or
                           are written there by `fill`, once there is memory for them
    give_back(reply)       the row is free again; its cache holds the first `fed` of `reply.tokens`
    held(row)              how many of these tokens may be used again
    forget(row, length)    from now on the row holds only its first `length` tokens

`Placement` is the seam. `prefixes.prefix_placement` begins a prompt with what was computed for
another; `LastFreed` uses nothing again.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Protocol

from rowcast.backend.reply import Reply
from rowcast.wire import Prefixes


@dataclass(frozen=True, slots=True)
class Place:
    """A row for a reply. Tokens that are `held` are never fed, so their prompt is computed less."""

    row: int
    held: int = 0
    found: int = 0  # how many of these were computed for another request
    fill: Callable[[int], None] | None = None  # writes so many of them; None: they are there
    source: int | None = None  # the free row that it reads


class Placement(Protocol):
    """The free rows of one backend.

    An implementation may return any free row. It returns more than 0 as `held` only if the row's
    cache holds these tokens, or `fill` writes them, and three rules apply: the tokens are equal one
    by one; at least the last one is still fed, because its feed draws; and none is held of a prompt
    that `is_fed_whole`.
    """

    def take(self, reply: Reply) -> Place:
        """Return a free row, which is then taken. Called only while there is one."""

    def give_back(self, reply: Reply) -> None:
        """Free the row of a reply that has ended, for whatever reason."""

    def stored(self) -> Prefixes:
        """Return what is stored beyond the rows."""

    def close(self) -> None:
        """Finish pending work: the backend ends."""

    def held(self, row: int) -> int:
        """Return how many tokens of a free row may be used again; the rest is given back."""

    def forget(self, row: int, length: int) -> None:
        """Note that a free row holds only its first `length` tokens from now on."""


class LastFreed:
    """The row that was freed last: its memory is the warmest. Nothing in it is used again."""

    def __init__(self, count: int) -> None:
        self._free = list(range(count - 1, -1, -1))

    def take(self, _reply: Reply) -> Place:
        return Place(self._free.pop())

    def give_back(self, reply: Reply) -> None:
        self._free.append(reply.row)

    def stored(self) -> Prefixes:
        return Prefixes()

    def close(self) -> None:
        """Do nothing."""

    def held(self, _row: int) -> int:
        return 0

    def forget(self, _row: int, _length: int) -> None:
        """Do nothing: nothing is remembered."""
