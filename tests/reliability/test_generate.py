"""/generate, in both its forms, while processes are killed: the same text, the same events."""

import json
from pathlib import Path
from typing import Any

import pytest

from engine.beam_rule import searched
from processes import Running, family, gone, kill, until
from raw_http import Answer, Client, ask, request_bytes
from reliability.conftest import Start
from scripted_replies import long_reply, scripted_reply

pytestmark = pytest.mark.slow

STEP = 0.01
TOKENS = 120
PROMPT = "Once upon a time"
SEED = long_reply(PROMPT, TOKENS, at_least=TOKENS)
TEXT = scripted_reply(PROMPT, SEED, TOKENS).text
PIECES = {"prompt": PROMPT, "seed": SEED, "max_tokens": TOKENS, "stream": True}
EVENTS = {"inputs": PROMPT, "parameters": {"seed": SEED, "max_new_tokens": TOKENS}}


def last_piece(answer: Answer) -> dict[str, Any]:
    """Return the last piece, and check that no piece is broken."""
    *pieces, rest = answer.body.split(b"\0")
    assert rest == b""
    found: dict[str, Any] = json.loads(pieces[-1])
    return found


def without_comments(body: bytes) -> bytes:
    return body.replace(b": waiting\n", b"")


def kill_backend(server: Running) -> None:
    killed = server.backend()
    killed.kill()
    until(lambda: gone([killed]), "the backend has ended")


@pytest.mark.parametrize(("path", "body"), [("/generate", PIECES), ("/generate_stream", EVENTS)])
def test_a_stream_survives_a_killed_backend(start: Start, path: str, body: dict[str, Any]) -> None:
    server = start(STEP_SECONDS=STEP)
    calm = ask(server.port, request_bytes(path, body))
    with Client(server.port) as client:
        client.send(request_bytes(path, body)).read_body(200)
        kill_backend(server)
        disturbed = client.finish()
    assert calm.whole
    assert disturbed.whole
    if body is PIECES:
        assert last_piece(disturbed) == {"text": [PROMPT + TEXT], "error": 0}
    else:
        assert without_comments(disturbed.body) == without_comments(calm.body)


@pytest.mark.parametrize("n", [1, 3])
def test_beams_survive_killed_backends(start: Start, n: int) -> None:
    server = start(STEP_SECONDS=STEP)
    beams = {"prompt": PROMPT, "use_beam_search": True, "n": n, "best_of": 6, "stream": True}
    wanted = [PROMPT + each.text for each in searched(PROMPT.encode(), 6, TOKENS)[:n]]
    with Client(server.port) as client:
        client.send(request_bytes("/generate", beams | {"max_tokens": TOKENS})).read_body(200)
        kill_backend(server)
        kill_backend(server)
        disturbed = client.finish()
    assert disturbed.whole
    assert last_piece(disturbed) == {"text": wanted, "error": 0}


@pytest.mark.parametrize(("path", "body"), [("/generate", PIECES), ("/generate_stream", EVENTS)])
def test_a_stream_goes_on_after_the_server_was_killed(
    start: Start, tmp_path: Path, path: str, body: dict[str, Any]
) -> None:
    journal = tmp_path / "journal.db"
    server = start(STEP_SECONDS=STEP, JOURNAL=journal)
    client = Client(server.port).send(request_bytes(path, body)).read_body(200)
    stream = client.so_far().headers["x-stream-id"]
    received = client.so_far().body
    client.abort()
    everyone = family(server.process.pid)
    kill(everyone)
    server.process.wait()
    until(lambda: gone(everyone), "everyone has ended")
    server = start(STEP_SECONDS=STEP, JOURNAL=journal)
    if body is PIECES:
        rest = ask(server.port, request_bytes(f"/v1/streams/{stream}", method="GET"))
        assert last_piece(rest)["text"] == [PROMPT + TEXT]
        return
    events = received[: received.rindex(b"\n\n") + 2]
    last = events.rstrip().rpartition(b"\n\n")[2].partition(b"\n")[0].removeprefix(b"id: ")
    again = {"Last-Event-ID": last.decode()}
    rest = ask(server.port, request_bytes(f"/v1/streams/{stream}", method="GET", headers=again))
    calm = ask(server.port, request_bytes(path, body))
    assert len(events) < len(calm.body), "it came to its end too early for this to show anything"
    assert without_comments(events + rest.body) == without_comments(calm.body)
