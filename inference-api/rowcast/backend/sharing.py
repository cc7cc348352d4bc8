"""Forking of rows: prompts that begin alike compute their beginning once.

    leader     ▪▪▪▪▪▪▪▪▪▪  is fed like any other row
    follower   ·········▪  is fed nothing until its leader has been fed the part that they share;
                           then its row is forked from the leader's, and it lacks only the rest

A reply follows the seated one with which it shares the longest beginning, whether that beginning
has been fed already or not: a choice of its own session, or a reply with its `prefix_key`. Once it
is forked, it may follow another one further. If a leader is evicted early, one of its followers
takes its place. Sharing changes what is computed, never which tokens are drawn.
"""

from collections.abc import Iterable
from itertools import takewhile
from typing import TypeVar

from rowcast.backend.reply import Reply
from rowcast.backend.rows import Rows
from rowcast.engine.engine import Engine
from rowcast.wire import Prefixes

LEAST_SHARED = 16  # tokens; a shorter beginning is fed as fast as it is copied
LEAST_FOUND = 64  # of another request

_Tokens = TypeVar("_Tokens", list[int], bytes)


class Sharing:
    """The followers among the seated replies, and what beginnings have saved."""

    def __init__(self, engine: Engine, rows: Rows) -> None:
        self._engine = engine
        self._rows = rows
        self._followers: list[Reply] = []
        self._looked_up = 0
        self._found = 0

    def seat(self, reply: Reply) -> int:
        """Find a leader for a reply that was just seated.

        Return how many tokens of its prompt were computed, or will be, for another request.
        """
        self._follow(reply)
        if reply.leader is not None:
            self._followers.append(reply)
            reply.found = _found(reply)
        if reply.prefix_key and not _repeats_sibling(reply):
            self._looked_up += len(reply.submit.prompt)
            self._found += reply.found
        return reply.found

    def settle(self) -> None:
        """Fork every follower whose leader has been fed the shared part."""
        if self._followers:
            self._followers = [reply for reply in self._followers if self._waits(reply)]

    def leave(self, leader: Reply) -> list[Reply]:
        """Let the followers of an evicted reply follow others; it follows none itself any more.

        With a key, the first of them takes over what the leader was fed. Return those for which
        another request computes less than it seemed.
        """
        self._followers = [reply for reply in self._followers if reply is not leader]
        left = [reply for reply in self._followers if reply.leader is leader]
        if left and left[0].prefix_key:
            self._inherit(left[0], leader)
        for reply in left:
            self._follow(reply)
        return [reply for reply in left if reply.group != leader.group and self._corrected(reply)]

    def prefixes(self) -> Prefixes:
        """Return what beginnings have saved, and what is stored of them."""
        stored = self._rows.stored()
        return Prefixes(self._looked_up, self._found, stored.entries, stored.bytes, stored.limit)

    def _waits(self, reply: Reply) -> bool:
        if reply.leader is not None and reply.leader.fed >= reply.shared:
            self._fork(reply.leader, reply, reply.shared)
            self._follow(reply)
        return reply.leader is not None

    def _inherit(self, reply: Reply, leader: Reply) -> None:
        fed = min(leader.fed, reply.shared)
        if fed - reply.fed >= LEAST_SHARED:
            self._fork(leader, reply, fed)

    def _fork(self, leader: Reply, reply: Reply, count: int) -> None:
        """Give a reply the first tokens that its leader was fed."""
        self._rows.reserve(reply, count)
        self._engine.fork(leader.row, reply.row, reply.tokens[:count], reply.fed)
        reply.fed = count

    def _corrected(self, reply: Reply) -> bool:
        """Correct what another request computes of a prompt; True if that has changed."""
        more = _found(reply) - reply.found
        self._found += more
        reply.found += more
        return more != 0

    def _follow(self, reply: Reply) -> None:
        """Choose its leader among replies that were seated earlier and follow no other reply."""
        reply.leader, reply.shared = None, reply.fed
        if reply.is_fed_whole or reply.beams:
            return  # every token of its prompt must be fed; beams are forked by their search
        most = len(reply.tokens) - 1  # the last token must be fed to draw the next one
        for other in self._earlier(reply):
            least = LEAST_SHARED if other.group == reply.group else LEAST_FOUND
            need = max(reply.fed + least, reply.shared + 1)
            if other.leader is not None or other.beams or not _agree(other, reply, need):
                continue
            shared = min(most, shared_length(other.tokens, reply.tokens))
            if shared >= need and _is_soon_fed(other, reply, shared):
                reply.leader, reply.shared = other, shared

    def _earlier(self, reply: Reply) -> Iterable[Reply]:
        """Return the replies that it may follow, in the order of their seating."""
        alike: Iterable[Reply] = self._rows.of(reply.group)
        if key := reply.prefix_key:
            alike = (
                each for each in self._rows if each.group == reply.group or each.prefix_key == key
            )
        return takewhile(lambda each: each is not reply, alike)


def _sibling(reply: Reply) -> Reply | None:
    """Return the leader of a reply, if that is one of its own session."""
    leader = reply.leader
    return leader if leader is not None and leader.group == reply.group else None


def _repeats_sibling(reply: Reply) -> bool:
    """True if it follows a choice of the same prompt, which counts once."""
    sibling = _sibling(reply)
    return sibling is not None and sibling.submit.prompt == reply.submit.prompt


def _found(reply: Reply) -> int:
    """Return how many prompt tokens another request computes, or has computed, for a reply.

    If it follows a sibling with another prompt, these are the ones that its own row has of them.
    """
    if _repeats_sibling(reply):
        return 0
    if _sibling(reply) is not None:
        return min(reply.found, reply.fed)
    return min(reply.shared, len(reply.submit.prompt))


def _agree(one: Reply, other: Reply, length: int) -> bool:
    """True if two replies may share so many tokens: the last of these is the same."""
    return one.tokens[length - 1 : length] == other.tokens[length - 1 : length] != []


def _is_soon_fed(leader: Reply, reply: Reply, shared: int) -> bool:
    """True unless a leader may first wait for a grammar that its follower does not need."""
    grammar = leader.submit.params.grammar
    return not grammar or grammar == reply.submit.params.grammar or leader.fed >= shared


def shared_length(one: _Tokens, other: _Tokens) -> int:
    """Return the length of the common beginning of two lists."""
    low, high = 0, min(len(one), len(other))
    if one[:high] == other[:high]:
        return high
    while low < high:
        middle = (low + high + 1) // 2
        low, high = (middle, high) if one[:middle] == other[:middle] else (low, middle - 1)
    return low
