"""`rowcast batch`, run as its users run it: whole, killed at random, interrupted, refused.

Covers `batch/run`, `batch/api`, `batch/answers`, `batch/options`, `batch/__main__`.
"""

import json
import os
import random
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from processes import ROOT, family, gone, until
from rowcast.offline.batch.options import read_options
from scripted_replies import scripted_reply

HELLO = [{"role": "user", "content": "Hello"}]


def begun(*arguments: object, cwd: Path) -> subprocess.Popen[str]:
    """Start the command in a folder, which is also the one for temporary files."""
    program = [sys.executable, "-m", "rowcast.offline.batch", *map(str, arguments)]
    return subprocess.Popen(
        [*program, "--model", "scripted"],
        env=os.environ
        | {"PYTHONPATH": str(ROOT / "inference-api"), "TMPDIR": str((cwd / "tmp").resolve())},
        cwd=cwd,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(folder: Path, *arguments: object) -> tuple[int, str]:
    """Run the command; return its status and what it wrote."""
    with begun(*arguments, cwd=folder) as process:
        _, shown = process.communicate(timeout=120)
    return process.returncode, shown


@pytest.fixture
def folder(tmp_path: Path) -> Iterator[Path]:
    """A folder with a link `tmp` to one for temporary files, whose path is short."""
    with tempfile.TemporaryDirectory() as temporary:
        (tmp_path / "tmp").symlink_to(temporary)
        yield tmp_path


def write(path: Path, lines: Sequence[dict[str, Any] | str]) -> None:
    texts = [line if isinstance(line, str) else json.dumps(line) for line in lines]
    path.write_text("\n".join(texts) + "\n")


def read(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.mark.slow
def test_each_line_is_answered_in_its_form_and_place(folder: Path) -> None:
    openai = {"model": "scripted", "max_tokens": 7, "seed": 2}
    write(
        folder / "in",
        [
            {"custom_id": "a", "url": "/v1/completions", "body": {**openai, "prompt": "Hello"}},
            {"prompt": "Hello", "max_tokens": 7, "seed": 2, "id": 9},
            "",
            "nonsense",
            {"prompt": "Hello", "max_token": 7},
            {"messages": HELLO, "max_tokens": 7, "seed": 2, "n": 2},
            {"custom_id": "b", "url": "/v1/completions", "body": {"model": "m", "prompt": "Hello"}},
            {
                "custom_id": "c",
                "url": "/v1/chat/completions",
                "body": {**openai, "messages": HELLO},
            },
        ],
    )
    status, shown = run(folder, "in", "out")
    assert (status, shown) == (0, "out: 7 lines\n")
    text, chat = (scripted_reply(each, 2, 7).text for each in ("Hello", "user: Hello\nassistant:"))
    first, plain, broken, typo, two, unknown, talk = read(folder / "out")
    assert (first["custom_id"], first["error"]) == ("a", None)
    assert first["response"]["status_code"] == 200
    assert first["response"]["body"]["choices"][0]["text"] == text
    assert first["response"]["body"]["created"] == int((folder / "in").stat().st_mtime)
    assert plain == {"id": 9, "prompt": "Hello", "text": text, "finish_reason": "length"}
    assert broken["error"]["code"] == "invalid_request"
    assert typo["error"] == "max_token is not a known argument; did you mean max_tokens?"
    assert [each["message"]["role"] for each in two["choices"]] == ["assistant"] * 2
    assert unknown["response"]["status_code"] == 404
    assert "'m' does not exist" in unknown["response"]["body"]["error"]["message"]
    assert talk["response"]["body"]["choices"][0]["message"]["content"] == chat
    assert run(folder, "in", "out") == (0, "out is complete: 7 lines\n")
    assert list((folder / "tmp").iterdir()) == []


def written(folder: Path) -> int:
    """Return how many lines a run has written."""
    partial = folder / "out.partial"
    return partial.read_bytes().count(b"\n") if partial.exists() else 0


@pytest.mark.slow
def test_killed_at_any_moment_it_ends_with_the_same_file(folder: Path) -> None:
    lines = [{"prompt": f"Hello {number}", "max_tokens": 40, "n": 2} for number in range(300)]
    lines.insert(5, {"messages": HELLO, "max_tokens": 400})
    write(folder / "in", lines)
    assert run(folder, "in", "undisturbed")[0] == 0
    chance = random.Random(5)
    for _ in range(4):
        process, before = begun("in", "out", "--step-seconds", "0.01", cwd=folder), written(folder)
        more = chance.randrange(50)
        until(lambda: written(folder) > before + more, "more lines")  # noqa: B023
        processes = family(process.pid)
        process.kill()
        process.communicate()
        until(lambda: gone(processes), "the decoder has ended, too")  # noqa: B023
    assert run(folder, "in", "out", "--step-seconds", "0.01")[0] == 0
    assert (folder / "out").read_bytes() == (folder / "undisturbed").read_bytes()
    until(lambda: not list((folder / "tmp").iterdir()), "temporary files are removed")


@pytest.mark.slow
def test_an_interruption_says_how_to_go_on(folder: Path) -> None:
    write(folder / "in", [{"prompt": "Hello", "max_tokens": 400, "ignore_eos": True}] * 300)
    with begun("in", "out", "--step-seconds", "0.02", cwd=folder) as process:
        until((folder / "out.partial").exists, "it has begun")
        processes = family(process.pid)
        process.send_signal(signal.SIGINT)
        _, shown = process.communicate(timeout=60)
    assert process.returncode == 130
    assert shown == "rowcast: interrupted; the same command continues\n"
    until(lambda: gone(processes), "all processes have ended")
    assert list((folder / "tmp").iterdir()) == []


@pytest.mark.slow
def test_another_batch_in_its_place_is_refused(folder: Path) -> None:
    write(folder / "in", [{"prompt": "Hello", "max_tokens": 2}])
    (folder / "out").write_text("a\nb\n")
    status, shown = run(folder, "in", "out")
    assert status == 2
    assert shown == (
        "rowcast: out exists and has 2 lines for 1 requests; remove it, or name another output\n"
    )


@pytest.mark.slow
def test_an_empty_file_gives_an_empty_one(folder: Path) -> None:
    (folder / "in").write_text("\n\n")
    assert run(folder, "in", "out")[0] == 0
    assert (folder / "out").read_bytes() == b""


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    source = tmp_path / "in"
    source.touch()
    options = read_options([str(source), "out", "--dtype", "int8", "--seed", "4", "--at-once", "9"])
    assert (options.target, options.at_once, options.seed) == (Path("out"), 9, 4)
    assert options.settings == {"dtype": "int8"}
    assert (options.model, options.longest) == ("storyteller", 4 << 20)
    for wrong in (["--at-once", "0"], ["--port", "1"]):
        with pytest.raises(SystemExit):
            read_options([str(source), "out", *wrong])
    with pytest.raises(SystemExit):
        read_options([str(tmp_path / "none"), "out"])
    assert "is not a file" in capsys.readouterr().err
