"""scripts/top: its screens, and the program in a terminal, against a server of the test.

Covers `top/cli`, `top/report`, `top/screen`, `top/terminal`.
"""

from __future__ import annotations

import fcntl
import json
import os
import pty
import select
import signal
import struct
import subprocess
import sys
import termios
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from commands.top.report import ModelRows, Row, report_of
from commands.top.screen import Screen
from http_client.json_server import JsonServer
from json_responder import responding
from processes import ROOT, free_port

PATIENCE = 30.0
OWN = {"row": 0, "own": True, "stream": "01a220b8", "phase": "decode"}
OWN |= {"prompt_tokens": 19, "reply_tokens": 112}
FED = OWN | {"row": 1, "phase": "prefill", "stream": "01a220b9", "reply_tokens": 0}
MODEL: dict[str, Any] = {
    "id": "storyteller",
    "state": "ready",
    "steps": 5182,
    "tokens_per_second": 212.4,
    "rows": [OWN, FED, {"row": 2, "own": False}, *[None] * 29],
    "waiting": {"own": 1, "all": 3},
    "prefixes": {"looked_up": 200, "found": 80},
}


def answer_of(*models: dict[str, Any]) -> bytes:
    return json.dumps({"object": "rows", "models": list(models)}).encode()


def read(*models: dict[str, Any]) -> tuple[ModelRows, ...]:
    """Return the report that the program reads from a server."""
    with responding(lambda *_: (200, answer_of(*models))) as (url, _):
        return report_of(JsonServer(url=url, token=None, seconds=10, agent="test"))


def test_a_screen_shows_models_rows_and_the_waiting_line() -> None:
    assert Screen().lines("here", read(MODEL)) == [
        "here",
        "",
        "storyteller  ready  212.4 tokens/s  5182 steps  prefixes 40 %",
        "  D P # . . . . . . . . . . . . .  3 of 32 rows, 2 yours",
        "  . . . . . . . . . . . . . . . .  3 waiting, 1 yours",
        "  row  stream                                phase    prompt  reply",
        "    0  01a220b8                              decode       19    112",
        "    1  01a220b9                              prefill      19      0",
        "",
        "D decodes  P prefill  # another team's  . free",
    ]


def test_a_model_that_is_not_loaded_has_a_line() -> None:
    lines = Screen().lines("here", read(MODEL | {"state": "unloaded", "rows": []}))
    assert lines[2].startswith("storyteller  unloaded")
    assert len(lines) == 5


@pytest.mark.parametrize(("width", "height"), [(80, 24), (20, 5), (1, 1), (300, 100)])
def test_a_screen_fits_the_terminal(width: int, height: int) -> None:
    lines = Screen(width, height).lines("title " * 20, read(*[MODEL] * 9), "a problem " * 20)
    assert max(map(len, lines)) <= max(width, 2 * 16 + 2)
    assert len(lines) <= max(height, 5)


def test_what_is_left_out_is_counted() -> None:
    lines = Screen(80, 12).lines("here", read(MODEL, MODEL))
    everything = Screen(80, None).lines("here", read(MODEL, MODEL))
    assert len(lines) == 12
    assert f"... {len(everything) - 12 + 1} more lines" in lines[-3]


def test_colours_change_no_text() -> None:
    plain, coloured = (Screen(colour=each).lines("a", read(MODEL)) for each in (False, True))
    assert "\x1b[32;1mD\x1b[0m" in coloured[3]
    codes = ("\x1b[0m", "\x1b[1m", "\x1b[2m", "\x1b[32;1m", "\x1b[33;1m")
    for code in codes:
        coloured = [line.replace(code, "") for line in coloured]
    assert coloured == plain


def test_nothing_that_the_server_sends_controls_the_terminal() -> None:
    hostile = OWN | {"stream": "\x1b]0;owned\x07", "phase": "\x1b[2J"}
    (model,) = read(MODEL | {"id": "a\x1b[31m\r\nb", "rows": [hostile]})
    assert model.rows == (Row(0, True, "?]0;owned?", "?[2J", 19, 112),)
    assert model.name == "a?[31m??b"


@pytest.mark.parametrize(
    "body", [b"{}", b"[]", b"null", b'{"models": [{}]}', b'{"models": 1}', b"\xff"]
)
def test_an_answer_that_is_no_report_is_refused_in_a_sentence(body: bytes) -> None:
    with responding(lambda *_: (200, body)) as (url, _):
        done = once("--url", url)
    assert done.returncode == 3
    assert done.stderr.startswith("top: http://")
    assert done.stderr.count("\n") == 1


def once(*arguments: str, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "scripts/top", "--once", *arguments],
        cwd=ROOT,
        env=os.environ | (env or {}),
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def test_one_screen_is_printed_for_scripts() -> None:
    with responding(lambda *_: (200, answer_of(MODEL))) as (url, _):
        done = once("--url", url)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.splitlines() == Screen().lines(url, read(MODEL))


def test_the_token_comes_from_a_variable_or_a_file(tmp_path: Path) -> None:
    file = tmp_path / "token"
    file.write_text("from-the-file\n")
    with responding(lambda *_: (200, answer_of(MODEL))) as (url, received):
        once("--url", url, env={"TOKEN": "from-the-variable"})
        once("--url", url, "--token-file", str(file), env={"TOKEN": "other"})
    assert [each["Authorization"] for each in received] == [
        "Bearer from-the-variable",
        "Bearer from-the-file",
    ]


def test_a_refusal_says_what_to_change() -> None:
    body = b'{"error": {"message": "a token is required"}}'
    with responding(lambda *_: (401, body)) as (url, _):
        done = once("--url", url)
    assert done.returncode == 3
    assert done.stderr == "top: 401: a token is required (set TOKEN, or use --token-file)\n"


@pytest.mark.parametrize(
    "arguments",
    [("--token", "x"), ("--url", "nowhere"), ("--interval", "0"), ("--token-file", "/no/file")],
)
def test_invalid_commands_are_refused(arguments: tuple[str, str]) -> None:
    done = once(*arguments)
    assert done.returncode == 2
    assert arguments[0] in done.stderr


@dataclass
class Shown:
    """The program in a terminal of its own."""

    process: subprocess.Popen[bytes]
    terminal: int
    output: bytes = b""
    before: list[Any] = field(default_factory=list)

    def until(self, text: bytes, patience: float = PATIENCE) -> bytes:
        """Read until this text was shown since the last call; return what was shown."""
        limit, seen = time.monotonic() + patience, b""
        while text not in seen:
            assert time.monotonic() < limit, f"{text!r} is not in {seen[-500:]!r}"
            if select.select([self.terminal], [], [], 0.1)[0]:
                seen += os.read(self.terminal, 1 << 16)
        self.output += seen
        return seen

    def press(self, key: bytes) -> None:
        os.write(self.terminal, key)

    def resize(self, columns: int, lines: int) -> None:
        fcntl.ioctl(self.terminal, termios.TIOCSWINSZ, struct.pack("HHHH", lines, columns, 0, 0))

    def ends(self) -> int:
        """Return the exit status, and check that the terminal is as it was."""
        self.until(b"\x1b[?1049l")
        status = self.process.wait(PATIENCE)
        assert termios.tcgetattr(self.terminal) == self.before
        assert self.output.rindex(b"\x1b[?25h") > self.output.rindex(b"\x1b[?25l")
        return status


@contextmanager
def shown(url: str, *, env: Mapping[str, str] | None = None) -> Iterator[Shown]:
    terminal, inside = pty.openpty()
    try:
        before = termios.tcgetattr(terminal)
        process = subprocess.Popen(
            ["setsid", "--ctty", sys.executable, "scripts/top", "--url", url, "--interval", "0.2"],
            cwd=ROOT,
            env=os.environ | (env or {}),
            stdin=inside,
            stdout=inside,
            stderr=inside,
        )
        made = Shown(process, terminal, before=before)
        made.resize(80, 24)
        try:
            yield made
        finally:
            process.kill()
            process.wait(PATIENCE)
    finally:
        os.close(inside)
        os.close(terminal)


@pytest.mark.slow
@pytest.mark.parametrize("key", [b"q", b"Q", b"\x03"])
def test_a_key_ends_it_and_restores_the_terminal(key: bytes) -> None:
    with responding(lambda *_: (200, answer_of(MODEL))) as (url, _), shown(url) as top:
        top.until(b"storyteller")
        top.press(key)
        assert top.ends() == 0


@pytest.mark.slow
def test_a_signal_ends_it_and_restores_the_terminal() -> None:
    with responding(lambda *_: (200, answer_of(MODEL))) as (url, _), shown(url) as top:
        top.until(b"storyteller")
        top.process.send_signal(signal.SIGTERM)
        assert top.ends() == 0


@pytest.mark.slow
def test_it_follows_the_server_and_the_size_of_the_window() -> None:
    answers = [answer_of(MODEL)]
    with (
        responding(lambda *_: (200, answers[0])) as (url, _),
        shown(url, env={"NO_COLOR": "1"}) as top,
    ):
        assert b"\x1b[1m" not in top.until(b"212.4 tokens/s")
        answers[0] = answer_of(MODEL | {"tokens_per_second": 99.5})
        top.until(b"99.5 tokens/s")
        top.resize(30, 8)
        top.until(b"more lines")
        top.press(b"q")
        assert top.ends() == 0


@pytest.mark.slow
def test_it_goes_on_when_the_server_is_back() -> None:
    away = [True]

    def respond(*_: object) -> tuple[int, bytes]:
        return (503, b'{"message": "loading"}') if away[0] else (200, answer_of(MODEL))

    with responding(respond) as (url, _), shown(url) as top:
        top.until(b"trying again: 503: loading")
        away[0] = False
        top.until(b"storyteller")
        top.press(b"q")
        assert top.ends() == 0


@pytest.mark.slow
def test_a_server_that_does_not_answer_is_tried_again() -> None:
    with shown(f"http://127.0.0.1:{free_port()}") as top:
        top.until(b"trying again: http://127.0.0.1:")
        top.press(b"q")
        assert top.ends() == 0
