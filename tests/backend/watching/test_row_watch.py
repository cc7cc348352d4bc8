"""What the frontends that watch the rows are sent, step by step."""

import time

import msgspec

from rowcast.backend.line import WaitingLine
from rowcast.backend.rows import Rows
from rowcast.backend.watching.row_watch import RowWatch
from rowcast.transport.memory import MemoryFrontendPort
from rowcast.wire import RowState, RowStates, Status, Submit, WatchRows

from ..driven import Driven, embed, submit


def owned(stream: str, prompt: bytes = b"Hello", *, team: str = "blue") -> Submit:
    """Return a prompt of a stream, which is the only reply of its session."""
    return msgspec.structs.replace(submit(stream, prompt, team=team), stream=stream)


def watching(driven: Driven) -> MemoryFrontendPort:
    """Connect a frontend that watches."""
    port = driven._transport.connect()
    port.send([WatchRows()])
    return port


def last(port: MemoryFrontendPort) -> RowStates:
    """Return what was reported last, and check that a status came before."""
    events = []
    while batch := port.receive():
        events += batch
    assert isinstance(events[0], Status)
    return [each for each in events if isinstance(each, RowStates)][-1]


def test_a_watcher_gets_the_rows_at_once() -> None:
    driven = Driven()
    driven.reader().send(owned("a", b"Hello"))
    driven.step(3)
    port = watching(driven)
    driven.step()
    assert last(port).rows == (RowState(0, "blue", "a", "decode", 5, 3),)


def test_a_prompt_that_is_being_fed_is_in_prefill() -> None:
    driven = Driven(width=4)
    driven.reader().send(owned("a", b"a longer prompt than one step feeds"))
    driven.step()
    port = watching(driven)
    driven.step()
    (row,) = last(port).rows
    assert (row.phase, row.reply_tokens) == ("prefill", 0)


def test_a_prompt_that_becomes_a_vector_is_in_prefill_to_its_end() -> None:
    driven = Driven(width=4)
    driven.reader().send(embed("a", b"twelve token"))
    driven.step(2)
    port = watching(driven)
    driven.step(0)
    driven.backend.intake()
    assert [each.phase for each in last(port).rows] == ["prefill"]


def test_waiting_prompts_are_counted_by_team() -> None:
    driven = Driven(rows=2)
    reader = driven.reader()
    reader.send(*(owned(f"a{n}") for n in range(3)), *(owned(f"b{n}", team="") for n in range(4)))
    driven.step()
    port = watching(driven)
    driven.step()
    assert sorted(last(port).waiting) == [("", 3), ("blue", 2)]


def test_who_does_not_watch_gets_no_rows() -> None:
    driven = Driven()
    reader = driven.reader()
    reader.send(owned("a"))
    watching(driven)
    driven.backend._watch._due = 0.0
    driven.step(2)
    kinds = {type(event) for batch in reader.batches for event in batch}
    assert RowStates not in kinds


def test_a_watcher_that_has_left_is_forgotten() -> None:
    driven = Driven()
    port = watching(driven)
    driven.step()
    port.close()
    driven.step()
    assert list(driven.backend._watch.due(time.monotonic() + 10)) == []


def test_a_report_is_due_once_per_period() -> None:
    watch = RowWatch(Rows(2), WaitingLine(2), 1.0)
    watch.join(7)
    assert [name for name, _ in watch.due(100.0)] == [7]
    assert list(watch.due(100.5)) == []
    assert [name for name, _ in watch.due(101.0)] == [7]


def test_the_speed_is_that_of_the_last_period() -> None:
    watch = RowWatch(Rows(2), WaitingLine(2), 1.0)
    watch.due(100.0)
    assert watch.states().tokens_per_second == 0.0
    watch.drawn = 500
    watch.due(102.0)
    assert watch.states().tokens_per_second == 250.0
    watch.due(103.0)
    assert watch.states().tokens_per_second == 0.0


def test_the_speed_is_measured_while_nobody_watches() -> None:
    driven = Driven()
    driven.reader().send(*(owned(f"a{n}") for n in range(4)))
    driven.step()
    watch = driven.backend._watch
    assert watch.drawn == 4
    watch._last, watch._due = (time.monotonic() - 1, 0), 0.0
    driven.step()
    assert watch.states().tokens_per_second > 0
