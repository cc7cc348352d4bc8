"""A report writes each result at once, goes on after an error, and leaves out what does not fit."""

import io
import json
from pathlib import Path

import pytest
import torch

from rowcast.engine.measuring.gpu.report import Report

CPU = torch.device("cpu")


def test_results_are_lines_of_a_table_and_of_json(tmp_path: Path) -> None:
    shown, file = io.StringIO(), tmp_path / "found.json"
    report = Report(CPU, 60, file, shown)
    report.figure("speed", "a step", 1234.5, "ms", "of 3")
    report.figure("speed", "a share", 0.12345, "%")
    report.verdict("purity", "bits", right=True)
    report.verdict("purity", "others", right=False, note="2 of 5")
    lines = shown.getvalue().splitlines()[2:]
    assert [line.split(" | ", 1)[1] for line in lines] == [
        "speed | a step | 1,234 ms | of 3 |",
        "speed | a share | 0.123 % |  |",
        "purity | bits | right |  |",
        "purity | others | WRONG | 2 of 5 |",
    ]
    found = [json.loads(line) for line in file.read_text().splitlines()]
    assert [each.get("value") for each in found] == [1234.5, 0.12345, None, None]
    assert [each.get("right") for each in found] == [None, None, True, False]
    assert report.failed == 1


def test_an_error_is_reported_and_the_next_part_runs(capsys: pytest.CaptureFixture[str]) -> None:
    shown = io.StringIO()
    report = Report(CPU, 60, None, shown)

    def broken(_report: Report) -> None:
        raise ValueError("not\nright")

    report.run("one", 0, broken)
    report.run("two", 0, lambda to: to.note("two", "ran", ""))
    assert "| one | FAILED | test_report.py:" in shown.getvalue()
    assert "ValueError: not right" in shown.getvalue()
    assert "| two | ran |" in shown.getvalue()
    assert report.failed == 1
    assert "Traceback" in capsys.readouterr().err


def test_a_part_without_time_is_left_out() -> None:
    shown = io.StringIO()
    report = Report(CPU, 60, None, shown)
    report.run("long", 61, lambda to: to.note("long", "ran", ""))
    assert "left out" in shown.getvalue()
    assert "ran" not in shown.getvalue()
    assert not report.failed
