"""The memory of the rows' caches: how much of it replies may use, and what is given back.

    a reply commits to      its prompt and the most tokens that it may have, bounded by the context
    it is seated            while the sum of what the seated ones commit to stays within the memory
    a row takes             what was counted before; others give back what there is too little of
    a row gives back        what neither its reply needs nor a placement remembers: after
                            GRACE_SECONDS, or at once if seated replies may need it

So no reply fails for lack of memory once it is seated, however many rows there are. A reply that
does not fit yet is not overtaken by others that would delay it: assume that every seated reply runs
to its limit, and there is a step at which it fits; others pass if they end before that step, or
leave enough beside it. What is given back is bounded by the step, since the system takes time for
it. `Placement` decides what a free row remembers. Knows no engine, only its `trim`.
"""

import math
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass

from rowcast.backend.placement import Placement
from rowcast.backend.reply import Reply
from rowcast.engine.engine import CacheMemory
from rowcast.wire import CacheUse

GRACE_SECONDS = 5.0
SPARE = 1 << 20  # bytes of a row that its next reply will probably need again
BYTES_PER_STEP = 16 << 20  # that are given back while replies are computed
BYTES_WHEN_IDLE = 256 << 20
MOST_PASSING = 16  # replies of a team that are considered while another waits for memory
UNBOUNDED = CacheMemory(sys.maxsize, 0)

Trim = Callable[[int, int], None]


@dataclass(slots=True)
class _Row:
    """The memory of one row, in tokens."""

    used: int = 0  # for which it may have pages
    committed: int = 0  # by the reply that is seated in it
    since: float = math.inf  # when its last reply was seated, or ended


class RowMemory:
    """The memory of all rows of one backend."""

    def __init__(
        self,
        count: int,
        placement: Placement,
        cache: CacheMemory = UNBOUNDED,
        trim: Trim = lambda _row, _length: None,
        *,
        longest: int = sys.maxsize,  # tokens that a row may hold
        least_per_step: int = 0,  # tokens that a step may add
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.cache = cache
        self.scarce = cache.tokens < count * cache.up(longest)  # not all rows may be full
        self.committed = 0
        self._used = 0  # of all rows: what they may have pages of
        self._size = 0  # the same, or what they need if that is more
        self._rows = [_Row() for _ in range(count)]
        self._placement = placement
        self._trim = trim
        self._clock = clock
        self._least_per_step = least_per_step
        self._due = math.inf
        self._spare = cache.up(self._tokens_in(SPARE))

    # Seating

    def need(self, reply: Reply) -> int:
        """Return what a reply commits to, with all beams of its search; never more than there is.

        A reply that was accepted by another backend may exceed this one's memory. It is seated
        alone.
        """
        return min(self.cache.tokens, self._of_row(reply) * reply.rows_needed)

    def fits(self, reply: Reply) -> bool:
        """True if a reply may be seated now."""
        return not self.scarce or self.committed + self.need(reply) <= self.cache.tokens

    def passing(
        self, waiting: Reply, seated: Iterable[Reply], free_rows: int
    ) -> Callable[[Reply], bool]:
        """Return a test for replies that may be seated before the one whose turn it is."""
        if self.fits(waiting):
            return self.fits
        steps, tokens, rows = self._left_beside(waiting, seated, free_rows)
        compared: Counter[str] = Counter()

        def may_pass(reply: Reply) -> bool:
            compared[reply.team] += 1
            if compared[reply.team] > MOST_PASSING or not self.fits(reply):
                return False
            beside = self.need(reply) <= tokens and reply.rows_needed <= rows
            return beside or reply.most_steps <= steps

        return may_pass

    def seat(self, reply: Reply) -> None:
        row = self._rows[reply.row]
        self._set(row, row.used, self._of_row(reply))
        self._changed(reply.row)

    def note_fed(self, reply: Reply) -> None:
        """Note that a seated reply's row has memory for what it was fed."""
        row = self._rows[reply.row]
        self._set(row, max(row.used, self.cache.up(reply.fed)), row.committed)

    def leave(self, reply: Reply) -> None:
        self.note_fed(reply)
        row = self._rows[reply.row]
        self._set(row, row.used, 0)
        self._changed(reply.row)

    def _set(self, row: _Row, used: int, committed: int) -> None:
        self.committed += committed - row.committed
        self._used += used - row.used
        self._size += max(used, committed) - max(row.used, row.committed)
        row.used, row.committed = used, committed

    def _changed(self, at: int) -> None:
        """Note that a row was seated or freed, and when it may have to give back memory."""
        row = self._rows[at]
        row.since = self._clock()
        if self._excess > 0:
            self._due = -math.inf
        elif row.used > self._spare and row.used > self._worth_keeping(at):
            self._due = min(self._due, row.since + GRACE_SECONDS)

    def seats(self, free_rows: int) -> int:
        """Return how many free rows there is probably memory for."""
        if not self.scarce:
            return free_rows
        return self.use.seats(len(self._rows) - free_rows, free_rows)

    @property
    def use(self) -> CacheUse:
        """What is reported to frontends."""
        return CacheUse(self.cache.tokens, self.committed, self.cache.token_bytes)

    # Taking

    @property
    def tight(self) -> bool:
        """True if rows must give back memory before seated replies have taken all of theirs."""
        return self.scarce and self._excess > 0

    def reserve(self, at: int, tokens: int, source: int | None = None) -> int:
        """Count memory for so many tokens of a seated reply's row before it is taken.

        Others give back what there is too little of; `source` is a row that stays as long. Return
        the tokens for which there is memory, fewer only if otherwise that row became shorter.
        """
        row = self._rows[at]
        short = self._used + self.cache.up(tokens) - row.used - self.cache.tokens
        if short > 0 and self.cache.up(tokens) > row.used:
            beside = {at: row.used, source: self.cache.up(tokens)}
            short -= self._make_room(short, beside)
            if source is not None and short > 0:
                tokens = max(0, tokens - self.cache.up(short))
        self._set(row, max(row.used, self.cache.up(tokens)), row.committed)
        return tokens

    def _make_room(self, wanted: int, beside: Mapping[int | None, int]) -> int:
        """Give back at least so many tokens, if rows have as many; return how many.

        Those beside are not cut below a length.
        """
        left = wanted
        for least_of in (self._least, lambda at: self._rows[at].committed):
            for at in self._oldest():
                least, used = max(least_of(at), beside.get(at, 0)), self._rows[at].used
                if left > 0 and used > least:
                    self._cut(at, max(least, self._down(used - left)))
                    left -= used - self._rows[at].used
        return wanted - left

    def _oldest(self) -> list[int]:
        """Return all rows, the one that was seated or freed longest ago first."""
        return sorted(range(len(self._rows)), key=lambda at: self._rows[at].since)

    # Giving back

    def touch(self, rows: int, tokens: int) -> None:
        """Note that the first rows have been fed this many tokens without a reply."""
        for row in self._rows[:rows]:
            self._set(row, max(row.used, self.cache.up(tokens)), row.committed)

    def tidy(self) -> None:
        """Give back memory that rows do not need, a bounded part of it. Called each step."""
        if (now := self._clock()) < self._due:
            return
        left = self._budget()
        for at, least in self._too_long(now):
            used = self._rows[at].used
            length = max(least, used - left)
            left -= used - length
            self._cut(at, length)
            if left <= 0:
                return
        self._due = self._next_due()

    def _cut(self, at: int, length: int) -> None:
        row = self._rows[at]
        if not row.committed and length < self._placement.held(at):
            self._placement.forget(at, length)
        self._set(row, length, row.committed)
        self._trim(at, length)

    def _too_long(self, now: float) -> Iterator[tuple[int, int]]:
        """Yield the rows that have more memory than they need, and how much they need."""
        order = self._oldest()
        for at in order:
            row, most = self._rows[at], self._worth_keeping(at)
            if row.used > most and row.since + GRACE_SECONDS <= now:
                yield at, most
        for least_of in (self._least, lambda at: self._rows[at].committed):
            for at in order:
                if (excess := self._excess) <= 0:
                    return
                least, used = least_of(at), self._rows[at].used
                if used > least:
                    yield at, max(least, self._down(used - excess))

    def _next_due(self) -> float:
        long = (row for at, row in enumerate(self._rows) if row.used > self._worth_keeping(at))
        return min((row.since for row in long), default=math.inf) + GRACE_SECONDS

    def _budget(self) -> int:
        """Return the tokens that may be given back in this step."""
        size = BYTES_PER_STEP if self.committed else BYTES_WHEN_IDLE
        return max(self._least_per_step, self.cache.grain, self._tokens_in(size))

    def _worth_keeping(self, at: int) -> int:
        return max(self._least(at), self._spare)

    def _least(self, at: int) -> int:
        """Return what a row needs for its reply or, if it is free, for what is remembered."""
        return self._rows[at].committed or self.cache.up(self._placement.held(at))

    def _down(self, tokens: int) -> int:
        """Return the most tokens, up to this many, that end with a grain."""
        return tokens // self.cache.grain * self.cache.grain

    def _tokens_in(self, size: int) -> int:
        return size // self.cache.token_bytes if self.cache.token_bytes else sys.maxsize >> 1

    @property
    def _excess(self) -> int:
        """The tokens by which rows may exceed the memory if all replies run to their limits."""
        return self._size - self.cache.tokens

    def _of_row(self, reply: Reply) -> int:
        most = self.cache.up(len(reply.submit.prompt) + reply.limit)
        return min(most, self.cache.tokens)

    def _left_beside(
        self, waiting: Reply, seated: Iterable[Reply], free_rows: int
    ) -> tuple[int, int, int]:
        """Return after how many steps a reply fits, at the latest, and what it then leaves.

        What it leaves are tokens and rows.
        """
        need, rows = self.need(waiting), waiting.rows_needed
        tokens, steps = self.cache.tokens - self.committed, 0
        for reply in sorted(seated, key=lambda each: each.most_steps):
            if tokens >= need and free_rows >= rows:
                break
            tokens += self._rows[reply.row].committed
            free_rows += 1
            steps = reply.most_steps
        return steps, tokens - need, free_rows - rows
