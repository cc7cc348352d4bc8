"""A child's output reaches a file or standard error, and the reason of its end is found in it."""

import subprocess
import sys
from pathlib import Path

import pytest

from rowcast.serving.output import FileOutput, ForwardedOutput, Output, sentences


def write(output: Output, text: str) -> None:
    """Let a child process write."""
    code = f"import sys; sys.stderr.write({text!r})"
    child = subprocess.Popen([sys.executable, "-c", code], stderr=output.descriptor)
    output.release()
    assert child.wait(timeout=30) == 0


def test_a_file_is_appended_to_and_only_new_lines_are_read(tmp_path: Path) -> None:
    path = tmp_path / "logs" / "server.log"
    write(FileOutput(path), "rowcast: before\n")
    output = FileOutput(path)
    write(output, "one\nrowcast: two\n")
    assert path.read_text() == "rowcast: before\none\nrowcast: two\n"
    assert output.lines() == ["one", "rowcast: two"]
    assert output.path == path


def test_lines_are_forwarded_to_standard_error(capsys: pytest.CaptureFixture[str]) -> None:
    output = ForwardedOutput()
    write(output, "one\nrowcast: é\n")
    assert output.lines() == ["one", "rowcast: é"]
    assert capsys.readouterr().err == "one\nrowcast: é\n"
    assert output.path is None


def test_an_output_without_a_child_has_no_lines(tmp_path: Path) -> None:
    output = ForwardedOutput()
    assert output.lines() == []
    output.release()
    assert output.lines() == []


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        (["[INFO] starting", "rowcast: the port is in use", "[INFO] bye"], "the port is in use"),
        (["rowcast: a", "rowcast: b", "rowcast: a"], "a; b"),
        (["1", "2", "3", "4"], "2 / 3 / 4"),
        ([], ""),
    ],
)
def test_the_reason_is_the_server_s_own_sentence(lines: list[str], reason: str) -> None:
    assert sentences(lines) == reason
