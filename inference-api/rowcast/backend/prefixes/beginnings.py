"""Finds which of many token lists begins most like a given one.

    add(key, packed, item)      packed: tokens as bytes, four for each, so that memcmp compares them
    longest(key, packed) ──▶ an item of that key, and how many tokens it shares

The lists of a key are sorted, so the one that shares the most is a neighbour of the place where the
given one would be. A look-up takes a few comparisons, however many lists there are.
"""

from array import array
from bisect import bisect_left
from collections.abc import Sequence
from typing import Generic, TypeVar

from rowcast.backend.sharing import shared_length

SIZE = array("I").itemsize  # bytes of a token

Item = TypeVar("Item")


def packed(tokens: Sequence[int]) -> bytes:
    """Return tokens as bytes."""
    return array("I", tokens).tobytes()


def shared_tokens(one: bytes, other: bytes) -> int:
    """Return how many tokens two lists share at their beginning."""
    return shared_length(one, other) // SIZE


class Beginnings(Generic[Item]):
    """Token lists with an item each, by key. No key sees what is there under another."""

    def __init__(self) -> None:
        self._by_key: dict[str, tuple[list[bytes], list[Item]]] = {}

    def add(self, key: str, tokens: bytes, item: Item) -> None:
        lists, items = self._by_key.setdefault(key, ([], []))
        at = bisect_left(lists, tokens)
        lists.insert(at, tokens)
        items.insert(at, item)

    def remove(self, key: str, tokens: bytes, item: Item) -> None:
        lists, items = self._by_key[key]
        at = items.index(item, bisect_left(lists, tokens))
        del lists[at], items[at]
        if not items:
            del self._by_key[key]

    def longest(self, key: str, tokens: bytes) -> tuple[Item, int] | None:
        """Return the item whose list shares the most tokens with this one, and their number."""
        if key not in self._by_key:
            return None
        lists, items = self._by_key[key]
        at = bisect_left(lists, tokens)
        near = range(max(0, at - 1), min(at + 1, len(lists)))
        shared, best = max((shared_tokens(lists[each], tokens), each) for each in near)
        return items[best], shared
