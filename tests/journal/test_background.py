"""Background requests in the journal's file: who takes one, and how it ends once.

Covers `journal/background/table`, `background/queue`, `background/record`, `background/schema`.
"""

import contextlib
import re
import sqlite3
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

import pytest

from rowcast.journal.background.record import BackgroundRequest
from rowcast.journal.background.schema import STATEMENTS
from rowcast.journal.background.table import DEATHS
from rowcast.journal.journal import LEASE_SECONDS, Journal
from rowcast.journal.service import answer

from .test_journal import SECRET, Held, record

MANY = 10_000
_COLUMNS = tuple(field.name for field in fields(BackgroundRequest))


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Held]:
    both = Held(tmp_path / "journal.db")
    yield both
    both.close()


def request_of(name: str, team: str = "blue", **more: object) -> BackgroundRequest:
    fields = {"kind": "task", "path": "/generate", "body": SECRET, "created": 5.5} | more
    return BackgroundRequest(id=name, team=team, **fields)  # type: ignore[arg-type]


def accept(held: Held, *names: str, team: str = "blue", **more: object) -> None:
    requests = [request_of(name, team, **more) for name in names]
    assert held.one.background.accept(requests, MANY) == ""


def taken(journal: Journal, free: int = 100) -> list[str]:
    return [each.id for each in journal.background.look(free, ()).taken]


def phase(held: Held, name: str, team: str = "blue") -> str:
    found = held.two.background.find(name, team)
    assert found is not None
    return found.phase


def test_a_file_without_background_requests_has_no_tables_for_them(held: Held) -> None:
    assert held.one.background.look(5, ["a"]).taken == []
    assert held.one.background.find("a", "blue") is None
    assert held.one.background.page("blue", "task", "", 10) == []
    assert held.one.sweep() == 0
    accept(held, "a")
    assert phase(held, "a") == "queued"


def test_open_requests_of_all_teams_are_counted(held: Held) -> None:
    assert held.one.background.open_counts() == {"queued": 0, "running": 0}
    accept(held, "a", "b", "c")
    accept(held, "d", team="red")
    assert taken(held.one, 1) == ["a"]
    held.one.background.cancel("b", "blue")
    assert held.two.background.open_counts() == {"queued": 2, "running": 1}


def test_a_request_is_taken_by_one_process_alone(held: Held) -> None:
    accept(held, "a", "b", "c")
    assert taken(held.one, 2) == ["a", "b"]
    assert taken(held.two) == ["c"]
    assert taken(held.one) == taken(held.two) == []
    assert held.one.background.look(0, ()).mine == {"a", "b"}


def test_a_team_sees_its_own_alone(held: Held) -> None:
    accept(held, "a")
    assert held.two.background.find("a", "red") is None
    assert held.two.background.cancel("a", "red") is None
    assert not held.two.background.delete("a", "red")
    assert held.two.background.page("red", "task", "", 10) == []
    assert phase(held, "a") == "queued"


def test_teams_are_taken_in_turn_however_many_one_has(held: Held) -> None:
    accept(held, *(f"a{number:02}" for number in range(50)))
    accept(held, "b1", "b2", team="red")
    assert taken(held.one, 4) == ["a00", "b1", "a01", "b2"]


def test_a_request_counts_with_its_rows_and_is_not_passed(held: Held) -> None:
    accept(held, "a", rows=3)
    accept(held, "b", rows=6)
    accept(held, "c")
    assert taken(held.one, 8) == ["a"]
    assert taken(held.one, 5) == [], "b is next, and needs 6"
    assert taken(held.one, 6) == ["b"]
    assert taken(held.one, 1) == ["c"]


def test_a_request_with_more_rows_than_there_are_is_computed_alone(held: Held) -> None:
    accept(held, "a", rows=100)
    accept(held, "b")
    assert taken(held.one, 0) == []
    assert taken(held.one, 4) == ["a"]
    assert taken(held.two, 4) == ["b"], "another process has rows"


def test_teams_take_turns_by_rows(held: Held) -> None:
    accept(held, "a1", "a2", rows=3)
    accept(held, "b1", "b2", "b3", "b4", team="red")
    assert taken(held.one, 9) == ["a1", "b1", "b2", "b3", "a2"]


def test_a_file_of_an_older_release_gets_the_rows(tmp_path: Path) -> None:
    """Its requests count once each, and a process of that release can still write it."""
    file = tmp_path / "journal.db"
    older = [re.sub(r",\s*rows INTEGER NOT NULL DEFAULT 1", "", each) for each in STATEMENTS]
    columns = [name for name in _COLUMNS if name != "rows"]
    values = [getattr(request_of("old"), name) for name in columns]
    marks = ", ".join("?" * len(columns))
    insert = f"INSERT INTO background ({', '.join(columns)}) VALUES ({marks})"
    with contextlib.closing(sqlite3.connect(file)) as database, database:
        for statement in older:
            database.execute(statement)
        database.execute(insert, values)
    both = Held(file)
    with contextlib.closing(both):
        accept(both, "new", rows=2)
        found = both.two.background.find("old", "blue")
        assert found is not None
        assert found.rows == 1
        assert taken(both.one, 2) == ["old"], "new needs two"
        assert taken(both.one, 2) == ["new"]
        with contextlib.closing(sqlite3.connect(file)) as database, database:
            database.execute(insert, ["later", *values[1:]])
        assert taken(both.two, 1) == ["later"]


def test_a_process_that_has_ended_loses_its_requests(held: Held) -> None:
    accept(held, "a")
    assert taken(held.one) == ["a"]
    held.clock.monotonic_now += LEASE_SECONDS - 0.1
    assert taken(held.two) == []
    held.clock.monotonic_now += 0.2
    assert taken(held.two) == ["a"]
    assert not held.one.background.finish("a", 200, b"late"), "it is no longer its own"
    assert held.one.background.look(0, ()).mine == frozenset()
    assert held.two.background.finish("a", 200, b"{}")
    assert not held.two.background.finish("a", 200, b"again")
    found = held.one.background.find("a", "blue")
    assert found is not None
    assert (found.phase, found.result, found.body) == ("finished", b"{}", b"")


def test_a_process_that_looks_shows_that_it_is_alive(held: Held) -> None:
    accept(held, "a")
    assert taken(held.one) == ["a"]
    for _ in range(5):
        held.clock.monotonic_now += LEASE_SECONDS - 0.5
        assert held.one.background.look(0, ()).mine == {"a"}
        assert taken(held.two) == []


def test_a_request_that_ends_its_processes_is_given_up(held: Held) -> None:
    accept(held, "a")
    for _ in range(DEATHS):
        assert taken(held.one) == ["a"]
        held.clock.monotonic_now += LEASE_SECONDS + 1
        held.one.owner += "x"  # the next process
    assert taken(held.one) == []
    assert phase(held, "a") == "failed"


def test_a_released_request_waits_for_its_delay(held: Held) -> None:
    accept(held, "a")
    assert taken(held.one) == ["a"]
    held.one.background.release("a", "no model", 30)
    found = held.two.background.find("a", "blue")
    assert found is not None
    assert (found.phase, found.reason) == ("queued", "no model")
    assert taken(held.two) == []
    held.clock.monotonic_now += 31
    assert taken(held.two) == ["a"]


def test_a_delay_does_not_outlive_the_clock_that_it_was_read_from(held: Held) -> None:
    accept(held, "a")
    assert taken(held.one) == ["a"]
    held.one.background.release("a", "no model", 30)
    held.clock.monotonic_now = 3.0  # the machine was started again
    assert taken(held.one) == ["a"]


@pytest.mark.parametrize("jump", [-86_400.0, 10 * 365 * 86_400.0])
def test_no_jump_of_the_clock_deletes_what_has_not_ended(held: Held, jump: float) -> None:
    accept(held, "a", "b")
    assert taken(held.one, 1) == ["a"]
    held.clock.wall_now += jump
    held.one.sweep()
    assert (phase(held, "a"), phase(held, "b")) == ("running", "queued")


def test_a_result_expires_and_leaves_no_trace(held: Held, tmp_path: Path) -> None:
    accept(held, "a", streamed=True)
    assert taken(held.one) == ["a"]
    held.one.begin(record("s1", key="background-a"))
    held.one.let_go("s1", b"", True)
    assert held.one.background.finish("a", 200, SECRET)
    held.clock.wall_now += 86_000
    held.one.sweep()
    assert phase(held, "a") == "finished"
    assert held.one.find("s1", "blue") is not None, "its readers may still come"
    held.clock.wall_now += 500
    with held.one.transaction():
        held.one.sweep()
    assert held.one.background.find("a", "blue") is None
    assert held.one.find("s1", "blue") is None
    assert SECRET not in b"".join(each.read_bytes() for each in tmp_path.iterdir())


def test_the_stream_of_a_request_that_nobody_reads_ends_with_it(held: Held) -> None:
    accept(held, "a")
    assert taken(held.one) == ["a"]
    held.one.begin(record("s1", key="background-a"))
    assert held.one.background.finish("a", 200, b"{}")
    assert held.one.find("s1", "blue") is None


def test_cancelling_ends_the_stream_wherever_it_is_computed(held: Held) -> None:
    accept(held, "a")
    assert taken(held.one) == ["a"]
    held.one.begin(record("s1", key="background-a"))
    found = held.two.background.cancel("a", "blue")
    assert found is not None
    assert (found.phase, found.body) == ("cancelled", b"")
    assert held.one.ousted() == [("s1", "cancelled")]
    assert held.one.background.look(0, ()).mine == frozenset()
    assert not held.one.background.finish("a", 200, b"{}")
    again = held.two.background.cancel("a", "blue")
    assert again is not None
    assert again.phase == "cancelled"


def test_watchers_read_phases_of_all_that_they_watch(held: Held) -> None:
    accept(held, "a", "b")
    taken(held.one, 1)
    held.one.background.finish("a", 500, b"{}")
    phases = held.two.background.look(0, ["a", "b", "c"]).phases
    assert phases == {"a": "failed", "b": "queued"}


def test_a_team_has_a_limit_of_waiting_requests(held: Held) -> None:
    background = held.one.background
    requests = [request_of(f"a{number}") for number in range(3)]
    assert "2 may be there" in background.accept(requests, 2)
    assert background.find("a0", "blue") is None, "all or none"
    assert background.accept(requests[:2], 2) == ""
    assert background.accept(requests[2:], 2)
    assert background.accept([request_of("b", "red")], 2) == "", "another team's limit"
    assert taken(held.one, 1) == ["a0"]
    assert background.accept(requests[2:], 2), "running ones count"
    background.finish("a0", 200, b"{}")
    assert background.accept(requests[2:], 2) == ""


def test_large_requests_that_wait_take_a_part_of_the_file(held: Held) -> None:
    background, large = held.one.background, b"x" * (1 << 20)
    accept(held, "a", "b", body=large)
    assert "quarter of JOURNAL_BYTES" in background.accept([request_of("c", body=large)], MANY)
    assert background.accept([request_of("d", "red", body=large)], MANY) == ""
    held.one.background.cancel("a", "blue")
    assert background.accept([request_of("c", body=large)], MANY) == ""


def test_a_full_file_deletes_results_but_no_waiting_request(tmp_path: Path) -> None:
    held = Held(tmp_path / "small.db", limit=1 << 20)
    accept(held, "waiting")
    for number in range(60):
        name = f"a{number}"
        calls = [
            ("background.accept", ([request_of(name, team="red")], MANY)),
            ("background.look", (100, ())),
            ("background.finish", (name, 200, b"x" * 50_000)),
        ]
        assert isinstance(answer(held.one, calls), list)
        held.clock.wall_now += 1
        held.one.background.release("waiting", "", 0)
    assert held.one.background.find("a0", "red") is None
    last = held.one.background.find("a59", "red")
    assert last is not None
    assert last.phase == "finished"
    assert held.one.background.find("waiting", "blue") is not None
    held.close()


def test_a_result_without_room_is_a_failure_with_the_reason(tmp_path: Path) -> None:
    held = Held(tmp_path / "small.db", limit=1 << 20)
    accept(held, "a")
    taken(held.one)
    held.one.begin(record("s1"))
    with contextlib.suppress(sqlite3.OperationalError):  # until it is full
        for _ in range(400):
            held.one.append("s1", b"x" * 4000)
    assert held.one.background.finish("a", 200, b"{}")
    found = held.one.background.find("a", "blue")
    assert found is not None
    assert (found.phase, found.status) == ("failed", 507)
    held.close()


def test_pages_have_the_latest_first_without_bodies(held: Held) -> None:
    accept(held, "a", "b", "c")
    accept(held, "other", kind="response")
    first = held.one.background.page("blue", "task", "", 2)
    assert [(each.id, each.body) for each in first] == [("c", b""), ("b", b"")]
    assert [each.id for each in held.one.background.page("blue", "task", "b", 2)] == ["a"]


def test_an_id_that_is_taken_stays_as_it_is(held: Held) -> None:
    accept(held, "a")
    accept(held, "a", body=b"other")
    found = held.one.background.find("a", "blue")
    assert found is not None
    assert found.body == SECRET
    assert held.one.background.look(0, ()).waiting == 1


def test_a_restarted_request_forgets_what_was_computed(held: Held) -> None:
    accept(held, "a")
    taken(held.one)
    held.one.begin(record("s1", key="background-a"))
    held.one.background.restart("a", "blue")
    assert held.one.find("s1", "blue") is None
    held.clock.monotonic_now += 0.1
    assert taken(held.two) == ["a"]


def test_deleting_ends_it_first(held: Held) -> None:
    accept(held, "a")
    assert taken(held.one) == ["a"]
    assert held.two.background.delete("a", "blue")
    assert held.one.background.find("a", "blue") is None
    assert held.one.background.look(0, ()) == held.two.background.look(0, ())
    assert held.one.background.look(0, ()).waiting == 0
