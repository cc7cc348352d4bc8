"""Forking of rows: choices of one prompt compute it once.

    leader     ▪▪▪▪▪▪▪▪▪▪  is fed like any other row
    follower   ·········▪  is fed nothing until its leader has been fed the part that they share;
                           then its row is forked from the leader's, and it lacks only the rest

A reply follows the seated one of its group with which it shares the longest beginning, whether
that beginning has been fed already or not. If a leader is evicted early, one of its followers takes
its place. Sharing changes what is computed, never which tokens are drawn.
"""

from itertools import takewhile

from rowcast.backend.reply import Reply
from rowcast.backend.rows import Rows
from rowcast.engine.engine import Engine

LEAST_SHARED = 16  # tokens; a shorter beginning is fed as fast as it is copied


class Sharing:
    """The followers among the seated replies."""

    def __init__(self, engine: Engine, rows: Rows) -> None:
        self._engine = engine
        self._rows = rows
        self._followers: list[Reply] = []

    def seat(self, reply: Reply) -> None:
        """Find a leader for a reply that was just seated."""
        self._follow(reply)
        if reply.leader is not None:
            self._followers.append(reply)

    def settle(self) -> None:
        """Fork every follower whose leader has been fed the shared part."""
        if self._followers:
            self._followers = [reply for reply in self._followers if self._waits(reply)]

    def _waits(self, reply: Reply) -> bool:
        if self._rows.find(reply.id) is not reply:
            return False
        if reply.leader is not None and self._rows.find(reply.leader.id) is not reply.leader:
            self._follow(reply)
        if reply.leader is None:
            return False
        if reply.leader.fed < reply.shared:
            return True
        self._engine.fork(reply.leader.row, reply.row, reply.tokens[: reply.shared])
        reply.fed, reply.leader = reply.shared, None
        return False

    def _follow(self, reply: Reply) -> None:
        """Choose its leader among replies that were seated earlier and follow no other reply."""
        reply.leader, reply.shared = None, LEAST_SHARED - 1
        if reply.is_fed_whole or reply.beams:
            return  # every token of its prompt must be fed; beams are forked by their search
        most = len(reply.tokens) - 1  # the last token must be fed to draw the next one
        earlier = takewhile(lambda each: each is not reply, self._rows.of(reply.group))
        for other in earlier:
            shared = min(most, shared_length(other.tokens, reply.tokens))
            if other.leader is None and not other.beams and shared > reply.shared:
                reply.leader, reply.shared = other, shared


def shared_length(one: list[int], other: list[int]) -> int:
    """Return the length of the common beginning of two lists."""
    low, high = 0, min(len(one), len(other))
    if one[:high] == other[:high]:
        return high
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle - 1)
    return low
