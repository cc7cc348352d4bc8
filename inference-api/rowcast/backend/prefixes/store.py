"""The store of prefixes beyond the rows: what was computed, in a bounded part of memory.

    put(key, tokens, save)       stores a beginning, unless a stored one covers it
    longest(key, tokens) ──▶ the entry that shares the most

The least recently used entry leaves first; one that was used twice is spared once. While others
have entries, a key may hold half of the store, and one that holds more is the first to give way. A
mirror, such as a folder, follows what is stored, and may bring back what an earlier store had.
Knows no rows and no engine: what an entry has saved is bytes.
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Protocol

from rowcast.backend.prefixes.beginnings import SIZE, Beginnings
from rowcast.engine.engine import SavedCache

LEAST_STORED = 256  # tokens; a shorter beginning is soon computed
OFTEN = 2  # uses, after which an entry is spared once


@dataclass(slots=True, eq=False)
class Entry:
    """A beginning that was computed, with its part of a row's cache."""

    key: str
    tokens: bytes
    saved: SavedCache | None  # None once it has left the store
    uses: int = 0
    name: str = ""  # in the mirror
    filled: bool = True  # False: parts of it are still to be saved, and no prompt begins with it

    @property
    def size(self) -> int:
        return len(self.tokens) + (0 if self.saved is None else len(self.saved))


class Mirror(Protocol):
    """What follows the store. None of its methods waits."""

    def write(self, entry: Entry) -> None:
        """Note a new entry."""

    def touch(self, entry: Entry) -> None:
        """Note that an entry was used."""

    def remove(self, entry: Entry) -> None:
        """Note that an entry has left."""

    def arrived(self) -> Iterable[Entry]:
        """Yield entries of an earlier store that were read since the last call, latest first."""

    def close(self) -> None:
        """Finish what was noted."""


class NoMirror:
    """For a store in memory alone."""

    def write(self, entry: Entry) -> None:
        """Do nothing."""

    def touch(self, entry: Entry) -> None:
        """Do nothing."""

    def remove(self, entry: Entry) -> None:
        """Do nothing."""

    def arrived(self) -> Iterable[Entry]:
        return ()

    def close(self) -> None:
        """Do nothing."""


class Store:
    """Entries of all keys, in at most `limit` bytes; 0 stores nothing."""

    def __init__(self, limit: int, token_bytes: int, mirror: Mirror | None = None) -> None:
        self.limit = limit
        self.bytes = 0
        self._per_token = token_bytes + SIZE
        self._mirror = mirror or NoMirror()
        self._entries: OrderedDict[Entry, None] = OrderedDict()  # least recently used first
        self._index: Beginnings[Entry] = Beginnings()
        self._held: Counter[str] = Counter()  # bytes by key

    def __len__(self) -> int:
        return len(self._entries)

    def longest(self, key: str, tokens: bytes) -> tuple[Entry, int] | None:
        """Return the entry that shares the most tokens with these, and their number."""
        self.receive()
        return self._index.longest(key, tokens)

    def receive(self) -> None:
        """Add what the mirror has read of an earlier store."""
        for entry in self._mirror.arrived():
            self._take_back(entry)

    def use(self, entry: Entry) -> None:
        """Note that a reply begins with an entry."""
        entry.uses += 1
        self._entries.move_to_end(entry)
        self._mirror.touch(entry)

    def put(self, key: str, tokens: bytes, save: Callable[[int], SavedCache]) -> None:
        """Store a beginning, or as much of it as may be stored. `save` reads the row's cache."""
        entry = self.begin(key, tokens, save)
        if entry is not None:
            self.finish(entry)

    def begin(self, key: str, tokens: bytes, make: Callable[[int], SavedCache]) -> Entry | None:
        """Make room for a beginning, or for as much of it as may be stored; None for nothing.

        The entry may be filled in parts. It may have to leave before `finish`, as any other.
        """
        count = min(len(tokens) // SIZE, self._most(key) // self._per_token)
        tokens = tokens[: count * SIZE]
        if count < LEAST_STORED or self._covers(key, tokens):
            return None
        self._drop_beginning_of(key, tokens)
        self._make_room(key, count * self._per_token)
        entry = Entry(key, tokens, make(count), filled=False)
        self._charge(entry)
        return entry

    def finish(self, entry: Entry) -> None:
        """Let prompts begin with an entry that is filled."""
        if entry.saved is None:
            return
        if self._covers(entry.key, entry.tokens):  # another one was stored meanwhile
            self._drop(entry)
            return
        self._drop_beginning_of(entry.key, entry.tokens)
        entry.filled = True
        self._index.add(entry.key, entry.tokens, entry)
        self._mirror.write(entry)

    def close(self) -> None:
        """Let the mirror finish."""
        self._mirror.close()

    def _most(self, key: str) -> int:
        """Return the bytes that a key may hold."""
        others = len(self._held) > (key in self._held)
        return self.limit // 2 if others else self.limit

    def _covers(self, key: str, tokens: bytes) -> bool:
        found = self._index.longest(key, tokens)
        return found is not None and found[1] * SIZE == len(tokens)

    def _drop_beginning_of(self, key: str, tokens: bytes) -> None:
        """Drop the longest entry that a new one covers, unless several prompts have used it."""
        found = self._index.longest(key, tokens)
        if found and found[1] * SIZE == len(found[0].tokens) and found[0].uses < OFTEN:
            self._drop(found[0])

    def _make_room(self, key: str, size: int) -> None:
        while self._held[key] + size > self._most(key):
            self._drop(self._oldest(key))
        while self.bytes + size > self.limit:
            self._drop(self._oldest(self._greedy()))

    def _greedy(self) -> str | None:
        """Return the key that holds more than half of the store; None if there is none."""
        [(key, size)] = self._held.most_common(1)
        return key if size > self.limit // 2 else None

    def _oldest(self, key: str | None) -> Entry:
        """Return the least recently used entry, of one key or of all; spare those used often."""
        spared: list[Entry] = []
        for entry in self._entries:
            if key is None or entry.key == key:
                if entry.uses < OFTEN:
                    break
                spared.append(entry)
        else:
            entry = spared[0]
        for each in spared:
            each.uses = 0
            self._entries.move_to_end(each)
        return entry

    def _charge(self, entry: Entry) -> None:
        """Count the bytes of an entry."""
        self._entries[entry] = None
        self._held[entry.key] += entry.size
        self.bytes += entry.size

    def _drop(self, entry: Entry) -> None:
        del self._entries[entry]
        self._held[entry.key] -= entry.size
        self.bytes -= entry.size
        if not self._held[entry.key]:
            del self._held[entry.key]
        entry.saved = None
        if entry.filled:
            self._index.remove(entry.key, entry.tokens, entry)
            self._mirror.remove(entry)

    def _take_back(self, entry: Entry) -> None:
        """Add an entry of an earlier store, as the least recently used, if there is room."""
        fits = self.bytes + entry.size <= self.limit and self._held[
            entry.key
        ] + entry.size <= self._most(entry.key)
        if fits and not self._covers(entry.key, entry.tokens):
            self._charge(entry)
            self._index.add(entry.key, entry.tokens, entry)
            self._entries.move_to_end(entry, last=False)
        else:
            self._mirror.remove(entry)
