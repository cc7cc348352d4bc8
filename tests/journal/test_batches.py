"""Batches and files in the journal's file: a batch ends once, with its last line.

Covers `batches/table`, `journal/batches/files`, `batches/record`, `journal/batches/lines`,
`late_table`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from rowcast.journal.background.record import BackgroundRequest
from rowcast.journal.batches.record import Batch, StoredFile

from .test_journal import SECRET, Held, record

MANY = 10_000


@pytest.fixture
def held(tmp_path: Path) -> Iterator[Held]:
    both = Held(tmp_path / "journal.db")
    yield both
    both.close()


def file_of(name: str, team: str = "blue", size: int = 5, purpose: str = "batch") -> StoredFile:
    return StoredFile(
        id=name, team=team, purpose=purpose, filename="in.jsonl", size=size, created=1.0
    )


def begin(held: Held, name: str = "batch_1", count: int = 3, team: str = "blue") -> None:
    """Begin a batch of `count` lines."""
    batch = Batch(
        id=name,
        team=team,
        endpoint="/v1/completions",
        input_file="f",
        window="24h",
        created=5.5,
        total=count,
    )
    lines = [
        BackgroundRequest(
            id=f"{name}-{at}",
            team=team,
            request_id=f"r{at}",
            kind="batch_line",
            path="/v1/completions",
            body=SECRET,
            batch=name,
            label=f"line {at}",
            created=5.5,
        )
        for at in range(count)
    ]
    assert held.one.batches.begin(batch, lines, MANY) == ""


def batch_of(held: Held, name: str = "batch_1") -> Batch:
    found = held.two.batches.find(name, "blue")
    assert found is not None
    return found


def lines_of(held: Held, file: str) -> list[dict[str, Any]]:
    content = held.two.files.part(file, "blue", 0, 1 << 20)
    assert content is not None
    return [json.loads(line) for line in content.splitlines()]


def test_a_file_is_read_by_its_team_alone_in_any_parts(held: Held) -> None:
    assert held.one.files.find("f", "blue") is None
    assert held.one.files.add(file_of("f"), b"abcde") == ""
    assert held.two.files.find("f", "red") is None
    assert held.two.files.part("f", "red", 0, 9) is None
    assert not held.two.files.delete("f", "red")
    parts = [held.two.files.part("f", "blue", start, 2) for start in (0, 2, 4)]
    assert parts == [b"ab", b"cd", b"e"]
    assert held.two.files.delete("f", "blue")
    assert held.one.files.find("f", "blue") is None


def test_files_are_listed_in_either_order(held: Held) -> None:
    for name in "abc":
        held.one.files.add(file_of(name), b"12345")
    held.one.files.write(file_of("d", purpose="batch_output"), b"12345")
    listed = held.one.files.page
    assert [each.id for each in listed("blue", "", "", 9)] == ["d", "c", "b", "a"]
    assert [each.id for each in listed("blue", "batch", "", 2)] == ["c", "b"]
    assert [each.id for each in listed("blue", "batch", "b", 2)] == ["a"]
    assert [each.id for each in listed("blue", "batch", "a", 2, "asc")] == ["b", "c"]
    assert listed("red", "", "", 9) == []


def test_files_take_a_part_of_the_journal_and_a_team_half_of_it(held: Held) -> None:
    size = 2 << 20
    assert held.one.files.add(file_of("a", size=size), b"x" * size) == ""
    assert "JOURNAL_BYTES" in held.one.files.add(file_of("b", size=1), b"x")
    assert held.one.files.add(file_of("c", "red", size=1), b"x") == ""
    held.one.files.delete("a", "blue")
    assert held.one.files.add(file_of("b", size=1), b"x") == ""


def test_a_file_expires(held: Held) -> None:
    held.one.files.add(file_of("a"), b"12345")
    held.clock.wall_now += 86_401
    assert held.one.sweep() == 1
    assert held.one.files.find("a", "blue") is None


def test_a_batch_ends_with_its_last_line_in_whatever_process(held: Held) -> None:
    begin(held)
    held.one.background.look(2, ())
    held.two.background.look(1, ())
    assert held.two.background.finish("batch_1-2", 200, b'{"text": "c"}\n')
    assert held.one.background.finish("batch_1-0", 200, b'{"text": "a"}')
    found = batch_of(held)
    assert (found.phase, found.completed, found.failed) == ("in_progress", 2, 0)
    assert held.one.background.finish("batch_1-1", 400, b'{"error": "b"}')
    found = batch_of(held)
    assert (found.phase, found.completed, found.failed) == ("completed", 2, 1)
    assert lines_of(held, found.output_file) == [
        {
            "id": f"batch_1-{at}",
            "custom_id": f"line {at}",
            "response": {"status_code": 200, "request_id": f"r{at}", "body": {"text": text}},
            "error": None,
        }
        for at, text in ((0, "a"), (2, "c"))
    ]
    (error,) = lines_of(held, found.error_file)
    assert (error["custom_id"], error["response"]["status_code"]) == ("line 1", 400)
    assert held.one.background.find("batch_1-0", "blue") is None, "its line is in the file"


def test_results_of_a_batch_stay_byte_for_byte(held: Held) -> None:
    begin(held, count=1)
    held.one.background.look(1, ())
    held.one.background.finish("batch_1-0", 200, b'{"z":1.0,"a":"\\u00e9"}\n')
    content = held.one.files.part(batch_of(held).output_file, "blue", 0, 1 << 20)
    assert content is not None
    assert b'"body":{"z":1.0,"a":"\\u00e9"}}' in content


def test_a_cancelled_batch_has_what_was_computed(held: Held) -> None:
    begin(held)
    held.one.background.look(2, ())
    held.one.background.finish("batch_1-0", 200, b"{}")
    held.one.begin(record("s1", key="background-batch_1-1"))
    assert held.two.batches.cancel("batch_1", "red") is None
    found = held.two.batches.cancel("batch_1", "blue")
    assert found is not None
    assert (found.phase, found.completed, found.total) == ("cancelled", 1, 3)
    assert len(lines_of(held, found.output_file)) == 1
    errors = lines_of(held, found.error_file)
    assert [each["error"]["code"] for each in errors] == ["batch_cancelled"] * 2
    assert held.one.ousted() == [("s1", "cancelled")], "the row of a running line is free"
    assert not held.one.background.finish("batch_1-1", 200, b"{}")
    assert held.one.background.look(0, ()).waiting == 0
    again = held.two.batches.cancel("batch_1", "blue")
    assert again == found


def test_a_batch_without_valid_lines_has_ended(held: Held) -> None:
    failed = Batch(
        id="b",
        team="blue",
        endpoint="/v1/completions",
        input_file="f",
        window="24h",
        errors=b"[]",
        created=1.0,
        total=0,
        phase="failed",
    )
    assert held.one.batches.begin(failed, [], MANY) == ""
    found = batch_of(held, "b")
    assert (found.phase, found.ended, found.errors) == ("failed", 1.0, b"[]")


def test_all_lines_are_accepted_or_none(held: Held) -> None:
    batch = Batch(
        id="b", team="blue", endpoint="/", input_file="f", window="24h", created=1.0, total=2
    )
    lines = [
        BackgroundRequest(
            id=name, team="blue", kind="k", path="/", body=b"", batch="b", created=1.0
        )
        for name in "xy"
    ]
    assert held.one.batches.begin(batch, lines, 1)
    assert held.one.batches.find("b", "blue") is None
    assert held.one.background.find("x", "blue") is None
    assert held.one.batches.begin(batch, lines, 2) == ""
    assert held.one.batches.begin(batch, lines, 2) == "", "it is there already"
    assert held.one.background.look(0, ()).waiting == 2


def test_results_of_a_batch_have_a_limit_together(held: Held) -> None:
    begin(held, count=2)
    held.one.background.look(2, ())
    held.one.background.finish("batch_1-0", 200, b"1" * (1 << 20))
    held.one.background.finish("batch_1-1", 200, b"1" * (3 << 20))
    found = batch_of(held)
    assert (found.completed, found.failed) == (1, 1)
    (error,) = lines_of(held, found.error_file)
    assert error["response"]["status_code"] == 507


def test_ended_batches_expire_and_others_do_not(held: Held) -> None:
    begin(held, "batch_1", 1)
    begin(held, "batch_2", 1)
    held.one.background.look(1, ())
    held.one.background.finish("batch_1-0", 200, b"{}")
    held.clock.wall_now += 86_401
    held.one.sweep()
    assert held.one.batches.find("batch_1", "blue") is None
    assert batch_of(held, "batch_2").phase == "in_progress"
    assert held.one.background.find("batch_2-0", "blue") is not None


def test_batches_are_listed_the_latest_first(held: Held) -> None:
    assert held.one.batches.page("blue", "", 5) == []
    begin(held, "batch_1", 1)
    begin(held, "batch_2", 1)
    assert [each.id for each in held.one.batches.page("blue", "", 5)] == ["batch_2", "batch_1"]
    assert [each.id for each in held.one.batches.page("blue", "batch_2", 5)] == ["batch_1"]
    assert held.one.batches.page("red", "", 5) == []
