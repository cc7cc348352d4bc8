"""Chats of several turns, and prompts that begin alike: what is sent, and what is shown of it.

Covers `load/requests`.
"""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

import pytest

from commands.bench import cli
from commands.bench.load.requests import (
    Request,
    Sizes,
    Unit,
    further_turn,
    make_requests,
    shared_beginning,
    words,
)
from scripts.load_server import LoadServer


@pytest.mark.parametrize("unit", ["byte", "word"])
def test_a_turn_continues_its_chat(unit: Unit) -> None:
    sizes = Sizes(20, 8, unit, turn_tokens=5)
    first = make_requests(3, sizes, 1)
    replies = {request.index: f" reply {request.index} \n".encode() for request in first}
    second = further_turn(first, replies, sizes, 7)
    for sooner, later in zip(first, second, strict=True):
        assert later.prompt.startswith(f"{sooner.prompt} reply {sooner.index} ")
        assert later.prompt.endswith(f" {words(5, unit, 7 + later.index)}")
        assert later.seed == 7 + later.index
        assert (later.index, later.max_tokens) == (sooner.index, 8)


def test_a_chat_without_seeds_stays_without() -> None:
    request = Request(4, "Hi.", None, 8)
    (later,) = further_turn([request], {4: b""}, Sizes(20, 8, send_seed=False, turn_tokens=5), 1)
    assert later.seed is None


@pytest.mark.parametrize(("unit", "length"), [("byte", len), ("word", lambda t: len(t.split()))])
def test_prompts_begin_alike_and_end_differently(unit: Unit, length: object) -> None:
    assert callable(length)
    shared = shared_beginning(30, unit, 1)
    prompts = [request.prompt for request in make_requests(4, Sizes(20, 8, unit, shared=shared), 1)]
    assert all(prompt.startswith(shared) for prompt in prompts)
    assert {length(prompt) for prompt in prompts} == {50}
    assert len({prompt.removeprefix(shared)[:10] for prompt in prompts}) == 4
    assert shared_beginning(0, unit, 1) == ""


@pytest.mark.slow
def test_all_chats_have_their_first_turn_before_their_second(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "report.json"
    given = ("--turns", "3", "--requests", "4", "--streams", "2", "--reply-tokens", "9", "--verify")
    with LoadServer() as server:
        assert cli.main(["--url", server.url, *given, "--json", str(file)]) == 0
        prompts = [str(request["text"]) for request in server.requests]
    turns = [sorted(prompts[at : at + 4]) for at in (0, 4, 8)]
    for earlier, later in pairwise(turns):
        assert all(b.startswith(a) for a, b in zip(earlier, later, strict=True))
    shown = capsys.readouterr().out
    assert [f", turn {turn}\n" in shown for turn in (1, 2, 3, 4)] == [True, True, True, False]
    assert [run["turn"] for run in json.loads(file.read_text())["runs"]] == [1, 2, 3]


@pytest.mark.slow
def test_each_turn_is_compared(capsys: pytest.CaptureFixture[str]) -> None:
    with LoadServer() as one, LoadServer() as two:
        given = ("--turns", "2", "--rounds", "2", "--requests", "2", "--streams", "2")
        assert cli.main(["--url", one.url, "--vs", two.url, *given]) == 0
        assert (len(one.requests), len(two.requests)) == (8, 8)
    shown = capsys.readouterr().out
    assert shown.count("B/A lowest..highest") == 2
    for turn in (1, 2):
        a, b = f"A: {one.url} native, turn {turn}\n", f"B: {two.url} native, turn {turn}\n"
        assert a + b in shown


@pytest.mark.parametrize(
    "given", [("--distinct", "--shared-tokens", "9"), ("--guest", "9", "--turns", "2")]
)
def test_contradictions_are_refused(
    given: tuple[str, ...], capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--url", "http://127.0.0.1:1", *given])
    assert given[-2] in capsys.readouterr().err
