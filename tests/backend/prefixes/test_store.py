"""The store is bounded, fair among keys, and gives up first what nobody uses."""

import random

from hypothesis import given, settings
from hypothesis import strategies as st

from rowcast.backend.prefixes.beginnings import SIZE, packed
from rowcast.backend.prefixes.store import LEAST_STORED, Entry, Store

BOUNDED = settings(deadline=None, derandomize=True, max_examples=100)
CELL = 12  # bytes per token of the cache
ENTRY = LEAST_STORED * (CELL + SIZE)


def tokens(number: int, length: int = LEAST_STORED) -> bytes:
    return packed(random.Random(number).choices(range(1000), k=length))


def save(count: int) -> memoryview:
    return memoryview(bytearray(count * CELL))


def put(store: Store, key: str, number: int, length: int = LEAST_STORED) -> None:
    store.put(key, tokens(number, length), save)


def has(store: Store, key: str, number: int, length: int = LEAST_STORED) -> bool:
    found = store.longest(key, tokens(number, length))
    return found is not None and found[1] == length


def test_what_is_short_and_what_is_there_already_is_not_stored() -> None:
    store = Store(10 * ENTRY, CELL)
    put(store, "a", 1, LEAST_STORED - 1)
    assert len(store) == 0
    put(store, "a", 1, 300)
    store.put("a", tokens(1, 300)[: 260 * SIZE], save)
    assert (len(store), store.bytes) == (1, 300 * (CELL + SIZE))


def test_a_longer_one_replaces_its_beginning_unless_that_is_used_often() -> None:
    store = Store(10 * ENTRY, CELL)
    for number, uses, entries in ((1, 1, 1), (2, 2, 3)):
        whole = tokens(number, 400)
        store.put("a", whole[: 300 * SIZE], save)
        found = store.longest("a", whole)
        assert found is not None
        for _ in range(uses):
            store.use(found[0])
        store.put("a", whole, save)
        assert len(store) == entries


def test_the_least_recently_used_leaves_and_what_was_used_twice_is_spared_once() -> None:
    store = Store(3 * ENTRY, CELL)
    for number in (1, 2, 3):
        put(store, "a", number)
    for number, uses in ((1, 2), (2, 1)):
        found = store.longest("a", tokens(number))
        assert found is not None
        for _ in range(uses):
            store.use(found[0])
    put(store, "a", 4)
    assert [has(store, "a", number) for number in (1, 2, 3, 4)] == [True, True, False, True]
    put(store, "a", 5)
    assert [has(store, "a", number) for number in (1, 2, 4, 5)] == [True, False, True, True]
    put(store, "a", 6)
    put(store, "a", 7)
    assert not has(store, "a", 1), "it was spared once"


def test_a_key_holds_half_while_others_have_entries() -> None:
    store = Store(4 * ENTRY, CELL)
    for number in (1, 2, 3, 4):
        put(store, "a", number)
    assert len(store) == 4
    put(store, "b", 5)
    put(store, "b", 6)
    assert [has(store, "a", number) for number in (1, 2, 3, 4)] == [False, False, True, True]
    put(store, "b", 7)
    assert [has(store, "b", number) for number in (5, 6, 7)] == [False, True, True]
    assert all(has(store, "a", number) for number in (3, 4)), "b gives way to itself"


def test_of_what_is_too_large_the_beginning_is_stored() -> None:
    store = Store(2 * ENTRY, CELL)
    put(store, "a", 1, 1000)
    assert store.longest("a", tokens(1, 1000)) == (next(iter(store._entries)), 2 * LEAST_STORED)
    put(store, "b", 2, 1000)
    assert store.bytes <= store.limit
    assert has(store, "b", 2, 1000) is False
    found = store.longest("b", tokens(2, 1000))
    assert found is not None
    assert found[1] == LEAST_STORED, "half of the store"


def test_an_entry_that_left_is_freed() -> None:
    store = Store(ENTRY, CELL)
    put(store, "a", 1)
    found = store.longest("a", tokens(1))
    assert found is not None
    put(store, "a", 2)
    assert found[0].saved is None


class Recorded:
    """A mirror that records, and brings entries back."""

    def __init__(self, *entries: Entry) -> None:
        self.written: list[Entry] = []
        self.removed: list[Entry] = []
        self.touched: list[Entry] = []
        self._entries = list(entries)

    def write(self, entry: Entry) -> None:
        self.written.append(entry)

    def touch(self, entry: Entry) -> None:
        self.touched.append(entry)

    def remove(self, entry: Entry) -> None:
        self.removed.append(entry)

    def arrived(self) -> list[Entry]:
        entries, self._entries = self._entries, []
        return entries

    def close(self) -> None:
        """Do nothing."""


def test_what_the_mirror_brings_back_is_the_first_to_leave() -> None:
    old = [Entry("a", tokens(number), save(LEAST_STORED)) for number in (1, 2, 3, 4)]
    mirror = Recorded(*old)
    store = Store(4 * ENTRY, CELL, mirror)
    put(store, "b", 9)
    assert has(store, "a", 1)
    assert [has(store, "a", number) for number in (2, 3, 4)] == [True, False, False]
    assert mirror.removed == old[2:], "beyond a key's half"
    for number in (10, 11, 12):
        put(store, "c", number)
    assert [has(store, "a", number) for number in (1, 2)] == [True, False]


@given(st.lists(st.tuples(st.sampled_from("abc"), st.integers(0, 9), st.integers(200, 900))))
@BOUNDED
def test_it_is_never_larger_than_its_limit(puts: list[tuple[str, int, int]]) -> None:
    mirror = Recorded()
    store = Store(4 * ENTRY, CELL, mirror)
    for key, number, length in puts:
        put(store, key, number, length)
        for found in (store.longest(key, tokens(number, length)),):
            if found and number % 3 == 0:
                store.use(found[0])
        assert store.bytes == sum(entry.size for entry in store._entries) <= store.limit
    assert len(mirror.written) - len(mirror.removed) == len(store)
