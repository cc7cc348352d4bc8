"""The longest common beginning is found among any lists, of one key only."""

import random
import time

from hypothesis import given, settings
from hypothesis import strategies as st

from rowcast.backend.prefixes.beginnings import Beginnings, packed, shared_tokens

BOUNDED = settings(deadline=None, derandomize=True, max_examples=200)
TOKENS = st.lists(st.sampled_from([0, 1, 255, 256, 65536]), max_size=8).map(tuple)


@given(st.lists(st.tuples(st.sampled_from("ab"), TOKENS), max_size=12), TOKENS)
@BOUNDED
def test_the_longest_is_found(
    entries: list[tuple[str, tuple[int, ...]]], query: tuple[int, ...]
) -> None:
    index: Beginnings[int] = Beginnings()
    for number, (key, tokens) in enumerate(entries):
        index.add(key, packed(tokens), number)
    while entries:
        shared = [_shared(tokens, query) for key, tokens in entries if key == "a"]
        found = index.longest("a", packed(query))
        assert (found is None) is (not shared)
        if found is not None:
            assert found[1] == max(shared) == _shared(entries[found[0]][1], query)
            assert entries[found[0]][0] == "a"
        key, tokens = entries.pop()
        index.remove(key, packed(tokens), len(entries))
    assert index.longest("a", packed(query)) is None


def _shared(one: tuple[int, ...], other: tuple[int, ...]) -> int:
    pairs = zip(one, other, strict=False)
    return next((at for at, (a, b) in enumerate(pairs) if a != b), min(len(one), len(other)))


def test_tokens_that_share_some_bytes_are_not_shared() -> None:
    assert shared_tokens(packed((1, 2)), packed((1, 2 + (1 << 24)))) == 1


def test_a_look_up_hardly_depends_on_the_number_of_lists() -> None:
    chance = random.Random(1)
    system = tuple(chance.choices(range(50_000), k=2000))
    seconds = []
    for count in (10, 1000):
        index: Beginnings[int] = Beginnings()
        for number in range(count):
            index.add("a", packed((*system, *chance.choices(range(50_000), k=2000))), number)
        query = packed((*system, *chance.choices(range(50_000), k=2000)))
        seconds.append(min(_timed(index, query) for _ in range(50)))
    assert seconds[1] < 10 * seconds[0]


def _timed(index: Beginnings[int], query: bytes) -> float:
    begin = time.thread_time()  # of this thread: others may have the processor meanwhile
    assert index.longest("a", query) is not None
    return time.thread_time() - begin
