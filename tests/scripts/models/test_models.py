"""scripts/models: its table, and the program against a server that simulates a load.

Covers `models/cli`, `listed`, `columns`, `by_hand`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator, Sequence
from typing import Any

import pytest

from commands.models.columns import duration, lines_of, shortened, sized
from commands.models.listed import Model
from json_responder import responding
from processes import ROOT, free_port

READY: dict[str, Any] = {
    "id": "storyteller",
    "root": "storyteller",
    "aliases": ["falcon40b"],
    "status": {"value": "loaded"},
    "state": "ready",
    "bytes": 386 << 20,
    "fingerprint": "5f2c90aa13de77b1",
    "keep": True,
    "loads": 1,
    "load_seconds": 0.25,
}
BIG: dict[str, Any] = {
    "id": "big",
    "root": "big",
    "status": {"value": "loading", "stage": "reading weights"},
    "state": "loading",
    "bytes": int(4.1 * (1 << 30)),
    "fingerprint": None,
    "idle_seconds": 600,
    "loads": 0,
}


def failed(reason: str) -> dict[str, Any]:
    status = {"value": "unloaded", "failed": True, "reason": reason, "retry_seconds": 30}
    return BIG | {"state": "failed", "status": status}


FAILED = failed("no tokenizer")


def table(*entries: dict[str, Any]) -> list[str]:
    return list(lines_of([Model(each) for each in entries]))


def test_a_table_has_a_line_per_model() -> None:
    assert table(READY, BIG) == [
        "name         state    memory   build         unloads      notes",
        "storyteller  ready    386 MiB  5f2c90aa13de  never        also falcon40b",
        "big          loading  4.1 GiB                10 min idle  reading weights",
    ]


def test_the_reason_of_a_failed_load_follows_in_full() -> None:
    reason = "the weights need 4.1 GiB, and MODELS_MEMORY has room for 1.0;" + " again" * 30
    lines = table(READY, failed(reason))
    assert lines[2].startswith("big          failed  4.1 GiB")
    assert " ".join(line.strip() for line in lines[3:]) == f"big: {reason} (next try in 30 s)"


@pytest.mark.parametrize(
    "odd",
    [
        {"id": "n" * 200, "root": "n" * 200},
        {"aliases": [f"alias-{n}" for n in range(50)]},
        {"status": {"stage": "s" * 300}, "fingerprint": "f" * 64, "bytes": 1 << 60},
        failed("/" + "path/" * 90),
    ],
)
def test_it_fits_80_columns(odd: dict[str, Any]) -> None:
    lines = table(READY, READY | odd, BIG)
    assert max(map(len, lines)) <= 80
    assert len(lines) >= 4


def test_other_builds_of_a_name_are_noted() -> None:
    old = {"state": "draining", "status": {"value": "loaded"}}
    lines = table(READY | {"id": "a", "aliases": [], "others": [old]})
    assert lines[1].endswith("  another build: draining")
    new = {"state": "failed", "status": {"failed": True, "reason": "no tokenizer"}}
    lines = table(READY | {"id": "a", "aliases": ["b"], "others": [new]})
    assert lines[1].endswith("another build: failed; also b")
    assert lines[2:] == ["a: no tokenizer"]


def test_a_list_of_another_server_is_shown_too() -> None:
    lines = table({"id": "gemma", "status": {"value": "loaded"}}, {"id": "other"})
    assert [line.split() for line in lines[1:]] == [
        ["gemma", "ready", "for", "room"],
        ["other", "for", "room"],
    ]


def test_units() -> None:
    sizes = (0, 1023, 1024, 5 << 20, 3 << 30)
    assert [sized(each) for each in sizes] == ["0 B", "1023 B", "1 KiB", "5 MiB", "3.0 GiB"]
    durations = (0.25, 59, 60, 90, 3600, 86400)
    assert [duration(each) for each in durations] == [
        *("0.25 s", "59 s", "1 min", "1.5 min", "1 h", "24 h")
    ]
    assert (shortened("abc", 3), shortened("abcd", 3)) == ("abc", "ab…")


class Acting:
    """A server that lists the next state of its model at each request."""

    def __init__(self, *states: dict[str, Any]) -> None:
        self.received: list[tuple[str, bytes]] = []
        self._states: Iterator[dict[str, Any]] = iter(states)
        self._last: dict[str, Any] = {}

    def __call__(self, method: str, path: str, body: bytes) -> tuple[int, bytes]:
        if method == "POST":
            self.received.append((path, body))
            return 200, b'{"success": true}'
        self._last = next(self._states, self._last)
        entries = [READY, READY | {"id": "hub/storyteller"}, self._last]
        return 200, json.dumps({"object": "list", "data": entries}).encode()


def models(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run the program as a user does."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "models"), *arguments],
        env={"PYTHONUTF8": "1", "COLUMNS": "80", **env},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert "Traceback" not in done.stderr
    return done


def test_it_lists_each_model_once() -> None:
    with responding(Acting(BIG)) as (url, received):
        done = models("--url", url, TOKEN="abc")
        assert (done.returncode, done.stdout.splitlines(), done.stderr) == (
            0,
            table(READY, BIG),
            "",
        )
        assert received[-1]["Authorization"] == "Bearer abc"
        whole = models("list", "--json", ROWCAST=url)
    assert json.loads(whole.stdout) == [READY, BIG]


def states(*named: str, **more: Any) -> Sequence[dict[str, Any]]:
    return [BIG | {"state": each, "status": {}, **more} for each in named]


def test_a_load_is_followed_until_it_is_ready() -> None:
    ready = BIG | {"state": "ready", "status": {}, "load_seconds": 12.34, "bytes": 5 << 20}
    acting = Acting(*states("unloaded"), BIG, BIG, ready)
    with responding(acting) as (url, _):
        done = models("load", "big", "--url", url)
    assert acting.received == [("/models/load", b'{"model":"big"}')]
    assert (done.returncode, done.stdout) == (0, "big is ready: 5 MiB, loaded in 12.3 s\n")
    assert done.stderr.splitlines() == ["unloaded", "reading weights"]


def test_a_load_that_fails_says_why() -> None:
    with responding(Acting(BIG, FAILED)) as (url, _):
        done = models("load", "--url", url, "big")
    assert (done.returncode, done.stdout) == (1, "big failed: no tokenizer\n")


def test_a_load_that_takes_longer_is_left_alone() -> None:
    with responding(Acting(BIG)) as (url, _):
        late = models("load", "big", "--url", url, "--timeout", "0.3")
        assert (late.returncode, late.stdout) == (1, "big is loading: reading weights\n")
        unwatched = models("load", "big", "--url", url, "--no-wait")
        assert (unwatched.returncode, unwatched.stdout) == (0, late.stdout)


def test_an_unload_is_followed_until_its_sessions_have_ended() -> None:
    acting = Acting(*states("ready", "draining", "draining", "unloaded", loads=1))
    with responding(acting) as (url, _):
        done = models("unload", "big", "--url", url, "--json")
    assert acting.received == [("/models/unload", b'{"model":"big"}')]
    assert (done.returncode, json.loads(done.stdout)["state"]) == (0, "unloaded")
    assert done.stderr == "draining\n"


def test_a_model_that_is_loaded_again_meanwhile_is_not_waited_for() -> None:
    acting = Acting(*states("ready", loads=1), *states("ready", loads=2))
    with responding(acting) as (url, _):
        done = models("unload", "big", "--url", url)
    assert (done.returncode, done.stdout) == (1, "big is ready\n")


def test_what_the_server_refuses_is_passed_on() -> None:
    refusal = json.dumps({"error": {"message": "needs the claim admin"}}).encode()
    with responding(lambda *_: (403, refusal)) as (url, _):
        done = models("load", "big", "--url", url)
    assert (done.returncode, done.stdout) == (3, "")
    assert done.stderr == "models: 403: needs the claim admin\n"
    nobody = models(ROWCAST=f"http://127.0.0.1:{free_port()}")
    assert (nobody.returncode, nobody.stdout) == (3, "")
    with responding(lambda *_: (200, b"{}")) as (url, _):
        assert "no list of models" in models("--url", url).stderr


@pytest.mark.parametrize(
    ("word", "arguments"),
    [
        ("load takes NAME", ["load"]),
        ("check takes FILE", ["check"]),
        ("list takes no name", ["list", "big"]),
        ("invalid choice: 'big'", ["big"]),
        ("--url", ["--url", "localhost:7000"]),
    ],
)
def test_a_wrong_command_says_what_to_change(word: str, arguments: list[str]) -> None:
    done = models(*arguments)
    assert (done.returncode, done.stdout) == (2, "")
    assert word in done.stderr


def test_the_help_fits_a_screen() -> None:
    lines = models("--help").stdout.splitlines()
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
