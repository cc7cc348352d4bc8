"""scripts/replay: a receipt is found, sent to a real server again, and compared.

Covers `replay/cli`, `receipt`, `replay/server`, `verdict`.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from commands.replay.receipt import NoReceipt, Receipt, Reply, find
from commands.replay.server import question_of
from commands.replay.verdict import verdict
from contract.asking import post
from processes import ROOT, Running, free_port, running_server

TRAIL = bytes(range(10, 30))
TOLD: dict[str, Any] = {
    "prompt": 0,
    "choice": 0,
    "finish_reason": "length",
    "tokens": 20,
    "digest": TRAIL[-1:].hex() + "00" * 31,
    "trail": TRAIL.hex(),
}
RECEIPT: dict[str, Any] = {
    "version": 1,
    "seed": 7,
    "parameters": {"max_tokens": 20},
    "stop": [],
    "prompts": [[72, 105]],
    "model": "scripted",
    "build": "scripted-1",
    "context_length": 4096,
    "replies": [TOLD],
}


def reply(trail: bytes, reason: str = "length", rest: str = "00" * 31) -> Reply:
    told = {"tokens": len(trail), "trail": trail.hex(), "finish_reason": reason}
    return Reply.read(TOLD | told | {"digest": trail[-1:].hex() + rest})


@pytest.mark.parametrize(
    "held",
    [
        json.dumps(RECEIPT),
        json.dumps(RECEIPT, indent=2),
        json.dumps({"answer": "Hi", "receipt": RECEIPT}),
        f'id: 1\ndata: {{"text": "Hi"}}\n\ndata: {json.dumps({"receipt": RECEIPT})}\n\n',
        f"HTTP/1.1 200 OK\r\n\r\ndata: {json.dumps({'receipt': RECEIPT})}\r\n\r\ndata: [DONE]\r\n",
    ],
)
def test_a_receipt_is_found_in_what_holds_it(held: str) -> None:
    assert find(held) == Receipt.read(RECEIPT)


@pytest.mark.parametrize(
    ("held", "why"),
    [
        ("", "no receipt"),
        ("[]", "no receipt"),
        ('{"answer": "Hi"}', "no receipt"),
        (f'data: {{"receipt": {json.dumps(RECEIPT)}}}\n' * 2, "2 receipts"),
        (json.dumps(RECEIPT | {"version": 2}), "version is 2"),
        (json.dumps(RECEIPT | {"replies": []}), "no replies"),
        (json.dumps(RECEIPT | {"replies": [7]}), "not an object"),
        (json.dumps(RECEIPT | {"build": None}), "build is null"),
        (json.dumps(RECEIPT | {"replies": [TOLD | {"tokens": 21}]}), "20 of 21 tokens"),
        (json.dumps(RECEIPT | {"replies": [TOLD | {"digest": "00" * 32}]}), "its digest"),
        (json.dumps(RECEIPT | {"replies": [TOLD | {"trail": "0x"}]}), "hexadecimal"),
        (json.dumps(RECEIPT | {"replies": [TOLD | {"choice": True}]}), "choice is true"),
    ],
)
def test_what_is_no_receipt_is_named(held: str, why: str) -> None:
    with pytest.raises(NoReceipt, match=why):
        find(held)


def test_no_answer_is_sent() -> None:
    asked = question_of(Receipt.read(RECEIPT), any_build=False)
    assert asked.pop("replies") == [{"prompt": 0, "choice": 0}]
    assert asked == {name: RECEIPT[name] for name in asked}
    assert TOLD["digest"] not in json.dumps(asked)
    assert "model" not in asked
    plain = question_of(Receipt.read(RECEIPT), any_build=True)
    assert {*asked} - {*plain} == {"build", "context_length"}


@pytest.mark.parametrize(
    ("now", "where"),
    [
        (reply(TRAIL), ""),
        (reply(b"\0" + TRAIL[1:]), "from token 1 on (20 tokens then, 20 now)"),
        (reply(TRAIL[:5] + bytes(7)), "from token 6 on (20 tokens then, 12 now)"),
        (reply(TRAIL[:5], "stop"), "length after 20 tokens then, stop after 5 tokens now"),
        (reply(TRAIL + b"\0"), "length after 20 tokens then, length after 21 tokens now"),
        (reply(TRAIL, "stop"), "length after 20 tokens then, stop after 20 tokens now"),
        (reply(TRAIL, rest="11" * 31), "in the last of its 20 tokens"),
        (reply(b""), "length after 20 tokens then, length after 0 tokens now"),
    ],
)
def test_where_replies_part(now: Reply, where: str) -> None:
    said = verdict(reply(TRAIL), now)
    assert bool(said) is bool(where)
    assert where in said


def replay(held: str, *options: str, **env: str) -> tuple[int, str, str]:
    """Run it; return its status, output and error output."""
    done = subprocess.run(
        [sys.executable, str(ROOT / "scripts" / "replay"), "-", *options],
        input=held.encode(),
        env={"PYTHONUTF8": "1", **env},
        capture_output=True,
        timeout=100,
        check=False,
    )
    assert b"Traceback" not in done.stderr
    return done.returncode, done.stdout.decode(), done.stderr.decode()


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    with running_server(tmp_path_factory.mktemp("replay")) as started:
        yield started


@pytest.fixture(scope="module")
def events(server: Running) -> str:
    """Return a stream that ends with a receipt."""
    asked = {"text": "größer", "seed": 3, "max_tokens": 30, "receipt": True}
    return post(server.port, asked, "/chat/falcon40b").text


def text_of(events: str) -> str:
    datas = [json.loads(line[6:]) for line in events.splitlines() if line.startswith("data: ")]
    return "".join(data.get("text", "") for data in datas)


@pytest.mark.slow
def test_an_equal_reply(server: Running, events: str) -> None:
    assert replay(events, ROWCAST=server.url) == (0, "equal: 30 tokens, ended with length\n", "")


@pytest.mark.slow
def test_its_text_stands_alone(server: Running, events: str) -> None:
    status, text, verdict_line = replay(events, "--text", "--url", server.url)
    assert (status, text) == (0, text_of(events))
    assert verdict_line.startswith("equal: ")


@pytest.mark.slow
def test_a_forged_receipt_differs(server: Running, events: str) -> None:
    forged = events.replace('"version": 1, "seed": 3', '"version": 1, "seed": 4')
    status, said, _ = replay(forged, ROWCAST=server.url)
    assert status == 1
    assert said.startswith("differs: from token ")


@pytest.mark.slow
def test_choices_are_told_one_by_one(server: Running) -> None:
    asked = {"model": "scripted", "prompt": ["a", "b"], "n": 2, "seed": 3, "receipt": True}
    answer = post(server.port, asked, "/v1/completions").text
    forged = json.loads(answer)
    forged["receipt"]["replies"][2] |= {"finish_reason": "stop"}
    status, said, _ = replay(json.dumps(forged), ROWCAST=server.url)
    lines = said.splitlines()
    assert status == 1
    assert [line.partition(": ")[2][:6] for line in lines] == [
        "equal:",
        "equal:",
        "differ",
        "equal:",
    ]
    assert lines[2].startswith("prompt 1, choice 0: differs: in its end: stop after 16 tokens then")


@pytest.mark.slow
def test_another_build(server: Running, events: str) -> None:
    other = events.replace('"build": "scripted-1"', '"build": "scripted-0"')
    status, said, why = replay(other, ROWCAST=server.url)
    assert (status, said) == (3, "")
    assert "build scripted-0" in why
    assert "--any-build" in why
    status, said, _ = replay(other, "--any-build", ROWCAST=server.url)
    assert status == 0
    assert said.splitlines()[0].startswith("another build: scripted-0 with a context of ")


@pytest.mark.slow
def test_what_can_not_be_asked(server: Running, events: str, tmp_path: Path) -> None:
    nobody = f"http://127.0.0.1:{free_port()}"
    impossible = events.replace('"top_p": 0.9', '"top_p": 9')
    for status, word, held, *options in (
        (2, "no receipt", "Hi", "--url", server.url),
        (2, "--url", events, "--url", "ftp://localhost"),
        (2, "unrecognized", events, "--warmth"),
        (4, "does not answer", events, "--url", nobody),
        (4, "parameters.top_p", impossible, "--url", server.url),
        (4, "404", events, "--url", server.url + "/v2"),
    ):
        told, said, why = replay(held, *options)
        assert (told, said) == (status, ""), why
        assert word in why


@pytest.mark.slow
def test_the_help_fits_a_screen() -> None:
    status, said, _ = replay("", "--help", COLUMNS="80")
    assert status == 0
    assert len(said.splitlines()) <= 24
    assert max(map(len, said.splitlines())) <= 100
