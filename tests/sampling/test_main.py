"""`python -m rowcast.sampling`: one row per way of sampling, next to a plain argmax.

Covers `sampling/__main__`.
"""

import sys

import pytest

from rowcast.sampling import __main__ as command


def test_each_case_is_measured_at_each_shape(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(command, "SHAPES", ((1, 40), (2, 60)))
    monkeypatch.setattr(command, "_PROMPT", 8)
    monkeypatch.setattr(sys, "argv", ["sampling", "--repeats", "1"])
    command.main()
    head, _, *rows = capsys.readouterr().out.splitlines()
    assert head == "| microseconds a step | 1 x 40 | 2 x 60 |"
    cells = [[cell.strip() for cell in row.strip("|").split("|")] for row in rows]
    assert [name for name, *_ in cells] == [*command.CASES, "(plain argmax)"]
    assert all(int(figure.replace(",", "")) > 0 for _, *figures in cells for figure in figures)


def test_another_sampler_is_measured_if_one_is_given(monkeypatch: pytest.MonkeyPatch) -> None:
    given: list[tuple[int, int]] = []
    monkeypatch.setattr(command, "SHAPES", ((1, 40), (2, 60)))
    monkeypatch.setattr(command, "_PROMPT", 8)
    monkeypatch.setattr(command, "CASES", {"greedy": command.CASES["greedy"]})
    monkeypatch.setattr(sys, "argv", ["sampling", "--repeats", "1"])
    command.main(lambda rows, size: given.append((rows, size)))
    assert given == [(1, 40), (2, 60)]
