"""A placement that remembers: a prompt begins with what was computed for another of its key.

    a free row holds its beginning     the reply takes that row, or a copy in another
    the store has it                   it is read back into a row
    neither                            the coldest row; what that row held goes to the store

Among rows that hold nothing, the one that was freed last is taken: its memory is the warmest. The
tokens of a reply without a key are neither looked for nor held. What is found changes how much of a
prompt is computed, never which tokens follow: rows are reused only where all tokens are equal.
"""

from collections import OrderedDict
from dataclasses import dataclass, replace
from functools import partial

from rowcast.backend.placement import LastFreed, Place, Placement
from rowcast.backend.prefixes.beginnings import SIZE, Beginnings, packed
from rowcast.backend.prefixes.store import LEAST_STORED, Entry, Mirror, Store
from rowcast.backend.reply import Group, Reply
from rowcast.backend.sharing import LEAST_FOUND
from rowcast.engine.engine import Engine
from rowcast.wire import Prefixes

MOST_DIFFERED = 1024  # beginnings after which prompts differed


@dataclass(frozen=True, slots=True)
class Held:
    """What a free row holds: the tokens that its cache has, and for whom."""

    key: str
    tokens: bytes
    group: Group  # it was computed for one of its replies

    @property
    def length(self) -> int:
        return len(self.tokens) // SIZE


@dataclass(slots=True)
class Part:
    """An entry for what a row held, of which only the end is saved; the row holds the rest."""

    entry: Entry
    begin: int  # of what is saved


class PrefixPlacement:
    """The free rows of one engine, and the store beside them."""

    def __init__(self, engine: Engine, store: Store) -> None:
        self._engine = engine
        self._store = store
        self._empty = list(range(engine.rows - 1, -1, -1))  # hold nothing; freed last at the end
        self._held: dict[int, Held] = {}  # of the other free rows; freed longest ago first
        self._index: Beginnings[int] = Beginnings()
        self._parts: dict[int, Part] = {}  # of free rows that have been shortened
        self._differed: OrderedDict[int, None] = OrderedDict()  # hashes of beginnings

    def take(self, reply: Reply) -> Place:
        key = reply.prefix_key
        if not key:
            return Place(self._coldest())
        tokens = packed(reply.tokens[:-1])  # the last one is fed, because its feed draws
        row, in_row = self._index.longest(key, tokens) or (-1, 0)
        self._finish(row)  # what the row has given back can be read back then
        stored = self._store.longest(key, tokens)
        if stored is not None and stored[1] > max(in_row, LEAST_FOUND - 1):
            return self._read_back(*stored)
        if in_row >= LEAST_FOUND:
            return self._reuse(row, in_row, reply.group)
        return Place(self._coldest())

    def give_back(self, reply: Reply) -> None:
        if reply.prefix_key and reply.fed >= LEAST_FOUND:
            tokens = packed(reply.tokens[: reply.fed])
            self._hold(reply.row, Held(reply.prefix_key, tokens, reply.group))
        else:
            self._empty.append(reply.row)

    def held(self, row: int) -> int:
        return self._held[row].length if row in self._held else 0

    def forget(self, row: int, length: int) -> None:
        """Store what a row gives back, and only that: no step waits for more."""
        held = self._held[row]
        self._save_beyond(row, length)
        if length < LEAST_FOUND:
            self._finish(row)
            self._forget(row)
            self._empty.insert(0, row)  # colder than those that were freed later
            return
        self._index.remove(held.key, held.tokens, row)
        self._hold(row, replace(held, tokens=held.tokens[: length * SIZE]))  # as old as before

    def stored(self) -> Prefixes:
        self._store.receive()
        return Prefixes(entries=len(self._store), bytes=self._store.bytes, limit=self._store.limit)

    def close(self) -> None:
        """Store what the rows hold, the latest at the end, for the store's mirror."""
        while self._held:
            self._release(next(iter(self._held)))
        self._store.close()

    def _reuse(self, row: int, shared: int, group: Group) -> Place:
        """Return a row with the shared beginning of what a free row holds.

        It is that row itself if little is lost, or if no row is empty and it shares half of it.
        """
        held = self._held[row]
        lost, found = held.length - shared, 0 if held.group == group else shared
        itself = lost < LEAST_FOUND or (not self._empty and shared >= lost)
        if itself and lost >= LEAST_STORED:
            self._save(row, held.length)
        elif lost and self._differed_before(held, shared):
            self._save(row, shared)
        if not itself:
            target = self._coldest()
            if target == row:
                return Place(row, shared, found)
            return Place(target, shared, found, partial(self._engine.copy, row, target), row)
        self._forget(row)
        return Place(row, shared, found)

    def _differed_before(self, held: Held, shared: int) -> bool:
        """True if two pairs of prompts differed after this beginning: others will, too."""
        beginning = hash((held.key, held.tokens[: shared * SIZE]))
        known = beginning in self._differed
        self._differed[beginning] = None
        if len(self._differed) > MOST_DIFFERED:
            self._differed.popitem(last=False)
        return known

    def _read_back(self, entry: Entry, shared: int) -> Place:
        self._store.use(entry)
        saved = entry.saved  # the entry may have to leave for what the row holds
        row = self._coldest()
        if saved is None:
            return Place(row)
        return Place(row, shared, shared, partial(self._engine.load, row, saved))

    def _coldest(self) -> int:
        """Return a row that holds nothing, or else that which was freed longest ago."""
        if self._empty:
            return self._empty.pop()
        row = next(iter(self._held))
        self._release(row)
        return row

    def _release(self, row: int) -> None:
        self._save(row, self._held[row].length)
        self._forget(row)

    def _save(self, row: int, count: int) -> None:
        """Store the first tokens that a row holds."""
        if row in self._parts:
            self._finish(row)
            return
        held = self._held[row]
        save = partial(self._engine.save, row)
        self._store.put(held.key, held.tokens[: count * SIZE], save)

    def _save_beyond(self, row: int, length: int) -> None:
        """Store what a row holds beyond a length, as a part of an entry with all of it."""
        held = self._held[row]
        if row not in self._parts:
            entry = self._store.begin(held.key, held.tokens, self._engine.new_saved)
            if entry is None:
                return
            self._parts[row] = Part(entry, len(entry.tokens) // SIZE)
        part = self._parts[row]
        if part.entry.saved is not None and length < part.begin:
            self._engine.save_part(row, part.entry.saved, length, part.begin)
            part.begin = length

    def _finish(self, row: int) -> None:
        """Store the rest of an entry of which a row has given back a part."""
        if row in self._parts:
            self._save_beyond(row, 0)
            self._store.finish(self._parts.pop(row).entry)

    def _hold(self, row: int, held: Held) -> None:
        self._held[row] = held
        self._index.add(held.key, held.tokens, row)

    def _forget(self, row: int) -> Held:
        held = self._held.pop(row)
        self._index.remove(held.key, held.tokens, row)
        return held


def prefix_placement(engine: Engine, limit: int = 0, mirror: Mirror | None = None) -> Placement:
    """Return the placement for an engine; `limit` bytes are stored beyond its rows."""
    if not engine.token_bytes:
        return LastFreed(engine.rows)
    return PrefixPlacement(engine, Store(limit, engine.token_bytes, mirror))
