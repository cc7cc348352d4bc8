"""The output file: begun, continued, finished, or refused."""

from contextlib import closing
from pathlib import Path

import pytest

from rowcast.offline.batch.results import CannotContinue, Results, digest_of

ABOUT = {"input": "a", "build": "b"}


def test_a_run_continues_with_the_lines_that_are_missing(tmp_path: Path) -> None:
    results = Results(tmp_path / "out")
    with closing(results.open(ABOUT, 4, 5)) as output:
        assert (output.done, output.created) == (0, 5)
        output.add(2, b"two\n")
        output.add(0, b"zero 0\n")
        output.add(1, b"half of th")  # a power cut
    with closing(results.open(ABOUT, 4, 6)) as output:
        assert (output.done, output.created) == (2, 5)
        assert [number for number in range(4) if output.missing(number)] == [1, 3]
        output.add(3, b"three\n")
        output.add(1, b"one\n")
        output.finish()
    assert (tmp_path / "out").read_bytes() == b"zero 0\none\ntwo\nthree\n"
    assert [each.name for each in tmp_path.iterdir()] == ["out"]
    assert results.finished(4)


def test_a_run_of_something_else_is_refused(tmp_path: Path) -> None:
    results = Results(tmp_path / "out")
    with closing(results.open(ABOUT, 3, 5)) as output:
        output.add(0, b"one\n")
    with pytest.raises(CannotContinue, match="was begun with another build; remove it"):
        results.open({**ABOUT, "build": "c"}, 3, 5)
    (tmp_path / "out.partial.json").unlink()
    with pytest.raises(CannotContinue, match="another input and build"):
        results.open(ABOUT, 3, 5)


def test_two_runs_at_once_are_refused(tmp_path: Path) -> None:
    results = Results(tmp_path / "out")
    with (
        closing(results.open(ABOUT, 3, 5)),
        pytest.raises(CannotContinue, match="is being written by another run"),
    ):
        Results(tmp_path / "out").open(ABOUT, 3, 5)


def test_another_file_in_its_place_is_never_overwritten(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("precious\n")
    with pytest.raises(CannotContinue, match="has 1 lines for 3 requests; remove it"):
        Results(tmp_path / "out").finished(3)
    assert not Results(tmp_path / "none").finished(3)


def test_a_kill_before_the_last_step_is_a_finished_run(tmp_path: Path) -> None:
    (tmp_path / "out").write_text("a\n")
    (tmp_path / "out.partial.json").write_text("{}")
    assert Results(tmp_path / "out").finished(1)
    assert [each.name for each in tmp_path.iterdir()] == ["out"]


def test_the_digest_is_of_the_content(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("x")
    (tmp_path / "b").write_text("x")
    (tmp_path / "c").write_text("y")
    first, second, third = (digest_of(tmp_path / name) for name in "abc")
    assert first == second != third
