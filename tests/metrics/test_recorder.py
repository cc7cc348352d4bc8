"""Series in shared memory: counted by one process, continued by the next, read by all.

Covers `family`, `segment`, `totals`.
"""

import logging
import os
import subprocess
import sys

import pytest

from rowcast_metrics import segment as segments
from rowcast_metrics.family import Family
from rowcast_metrics.memory import Memory
from rowcast_metrics.recorder import Recorder
from rowcast_metrics.totals import Totals

EATEN = Family("toy_eaten", "counter", "Pieces eaten.", ("who",))
SECONDS = Family("toy_seconds", "histogram", "Seconds.", ("who",), (0.1, 1, 10))
OPEN = Family("toy_open", "gauge", "Open ones.")
WORST = Family("toy_worst", "gauge", "The worst.", merge="max")


@pytest.fixture
def memory() -> Memory:
    return Memory.create(4)


def of(memory: Memory, family: Family) -> dict[tuple[str, ...], tuple[float, ...]]:
    return dict(Totals(memory.segments).of(family).numbers)


def test_processes_are_summed(memory: Memory) -> None:
    for segment, amount in zip(memory.segments, (1, 2, 40), strict=False):
        Recorder(segment).counter(EATEN, "ann").add(amount)
    Recorder(memory.segments[3]).counter(EATEN, "bob").add()
    assert of(memory, EATEN) == {("ann",): (43.0,), ("bob",): (1.0,)}


def test_a_histogram_counts_each_value_in_its_bucket_and_sums_them(memory: Memory) -> None:
    histogram = Recorder(memory.segments[0]).histogram(SECONDS, "ann")
    for value in (0.05, 0.1, 0.5, 10.0, 99.0):
        histogram.observe(value)
    histogram.observe(2.0, times=3)
    *counts, total = of(memory, SECONDS)["ann",]
    assert counts == [2.0, 1.0, 4.0, 1.0]
    assert total == pytest.approx(115.65)


def test_the_next_owner_of_a_segment_goes_on_counting(memory: Memory) -> None:
    first = Recorder(memory.segments[0])
    first.counter(EATEN, "ann").add(5)
    first.gauge(OPEN).set(7)
    second = Recorder(Memory(memory.file).segments[0])
    second.counter(EATEN, "ann").add()
    second.counter(EATEN, "bob").add()
    assert of(memory, EATEN) == {("ann",): (6.0,), ("bob",): (1.0,)}
    assert of(memory, OPEN) == {(): (0.0,)}


def test_a_dead_process_leaves_counters_and_no_gauges(memory: Memory) -> None:
    child = os.fork()
    if not child:
        recorder = Recorder(memory.segments[1])
        recorder.counter(EATEN, "ann").add(3)
        recorder.gauge(OPEN).set(3)
        os._exit(0)
    os.waitpid(child, 0)
    Recorder(memory.segments[0]).gauge(OPEN).set(1)
    assert of(memory, EATEN) == {("ann",): (3.0,)}
    assert of(memory, OPEN) == {(): (1.0,)}


def test_gauges_merge_as_their_family_says(memory: Memory) -> None:
    for segment, value in zip(memory.segments, (1.0, 5.0), strict=False):
        recorder = Recorder(segment)
        recorder.gauge(OPEN).add(value)
        recorder.gauge(WORST).set(value)
    assert of(memory, OPEN) == {(): (6.0,)}
    assert of(memory, WORST) == {(): (5.0,)}


def test_a_series_of_other_bounds_is_another_series(memory: Memory) -> None:
    Recorder(memory.segments[0]).histogram(SECONDS, "ann").observe(1)
    newer = Family("toy_seconds", "histogram", "Seconds.", ("who",), (0.1, 1))
    Recorder(memory.segments[0]).histogram(newer, "ann").observe(1)
    assert of(memory, newer) == {("ann",): (0.0, 1.0, 0.0, 1.0)}
    assert of(memory, SECONDS) == {("ann",): (0.0, 1.0, 0.0, 0.0, 1.0)}


def test_labels_may_be_any_text(memory: Memory) -> None:
    odd = 'a"b\\c\nd\u2028\x00é'
    Recorder(memory.segments[0]).counter(EATEN, odd).add()
    Recorder(memory.segments[0]).counter(EATEN, "ann").add()
    assert of(memory, EATEN) == {(odd,): (1.0,), ("ann",): (1.0,)}


@pytest.mark.parametrize("limit", ["KEY_BYTES", "NUMBERS"])
def test_without_room_the_rest_is_counted_and_not_shown(
    memory: Memory, limit: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    recorder = Recorder(memory.segments[0])
    recorder.counter(EATEN, "ann").add()
    monkeypatch.setattr(segments, limit, 1)
    with caplog.at_level(logging.ERROR):
        for name in ("bob", "eve"):
            recorder.counter(EATEN, name).add()
    assert of(memory, EATEN) == {("ann",): (1.0,)}
    assert caplog.text.count("no room") == 1


def test_a_reader_in_another_process_sees_every_series() -> None:
    memory = Memory.create(2)
    recorder = Recorder(memory.segments[0])
    code = (
        "import sys; from rowcast_metrics.memory import Memory;"
        "print([e.labels for e in Memory(int(sys.argv[1])).segments[0].entries()])"
    )
    recorder.counter(EATEN, "ann")
    recorder.counter(EATEN, "bob")
    shown = subprocess.run(
        [sys.executable, "-c", code, str(memory.file)],
        pass_fds=[memory.file],
        env={"PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert shown.stdout == "[('ann',), ('bob',)]\n"
