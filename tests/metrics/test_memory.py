"""The memory of a master and its workers: segments, handing over, names with a bound."""

import os

import pytest

from rowcast_metrics.memory import PRIVATE, Memory, from_handover, segments_for


def test_a_worker_gets_the_first_segment_that_nobody_has() -> None:
    memory = Memory.create(3)
    assert memory.allot([]) == 0
    assert memory.allot([0, 2]) == 1
    assert memory.allot([0, 1, 2]) == PRIVATE


def test_there_are_segments_for_the_workers_before_and_after_a_reload() -> None:
    assert segments_for(8) >= 16


def test_what_is_handed_over_is_the_same_memory() -> None:
    memory = Memory.create(2)
    _, segment = from_handover(memory.handover(1))
    segment.numbers[5] = 3.0
    assert memory.segments[1].numbers[5] == 3.0
    assert memory.segments[0].numbers[5] == 0.0


def test_a_worker_without_a_segment_counts_where_nobody_looks() -> None:
    memory = Memory.create(1)
    _, segment = from_handover(memory.handover(PRIVATE))
    segment.numbers[0] = 3.0
    assert memory.segments[0].numbers[0] == 0.0


def test_the_first_names_are_known_to_all_and_no_others() -> None:
    memory = Memory.create(1)
    other = Memory(memory.file)
    assert memory.register("ann", 2)
    assert other.register("bob", 2)
    assert not memory.register("eve", 2)
    assert memory.register("bob", 2)
    assert other.register("ann", 2)
    assert not other.register("ann", 0)


@pytest.mark.parametrize("odd", ["a\nb", "a\x00b", "", "é\u2028", "a\rb"])
def test_an_odd_name_is_one_name(odd: str) -> None:
    memory = Memory.create(1)
    assert memory.register(odd, 1)
    assert memory.register(odd, 1)
    assert not memory.register("b", 1)


def test_names_that_do_not_fit_are_unknown() -> None:
    memory = Memory.create(1)
    found = [memory.register(f"{number:09000}", 100) for number in range(100)]
    assert 0 < sum(found) < 10
    assert memory.register("short", 100)


def test_the_memory_is_not_inherited_by_programs() -> None:
    assert not os.get_inheritable(Memory.create(1).file)
