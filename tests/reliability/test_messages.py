"""Anthropic's Messages while processes are killed: the same events, to the same end."""

from pathlib import Path
from typing import Any

import pytest

from frontend.api.anthropic.sending import accumulated, split, without_ids
from processes import family, gone, kill, until
from raw_http import Client, ask, request_bytes
from reliability.conftest import Start
from scripted_replies import long_reply

pytestmark = pytest.mark.slow

PATH = "/v1/messages"
STEP = 0.01
TOKENS = 120
HELLO = [{"role": "user", "content": "Hello"}]
TOOL = {
    "name": "weather",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"enum": ["Paris", "Rome"]}, "days": {"enum": [1, 2, 3]}},
        "required": ["city", "days"],
        "additionalProperties": False,
    },
}
SEED = long_reply("user: Hello\nassistant:", TOKENS, at_least=TOKENS)
BODY: dict[str, Any] = {"model": "scripted", "messages": HELLO, "stream": True}
TEXT = BODY | {"seed": SEED, "max_tokens": TOKENS}
CALL = BODY | {"seed": 3, "max_tokens": 900, "tools": [TOOL]}
CALL["tool_choice"] = {"type": "tool", "name": "weather"}
BODIES = pytest.mark.parametrize("body", [TEXT, CALL], ids=["text", "call"])


def of_whole_prompt(message: dict[str, Any]) -> dict[str, Any]:
    """Count all tokens of the prompt as one number: another request may find some of them."""
    usage = message["usage"]
    usage["input_tokens"] += usage.pop("cache_read_input_tokens")
    return message


def same(body: dict[str, Any], found: bytes, wanted: bytes) -> bool:
    """True if two streams make the same message, of a call in the same events."""
    one, other = (split(stream.decode()) for stream in (found, wanted))
    messages = [
        of_whole_prompt(without_ids(accumulated([event for _, event in each])))
        for each in (one, other)
    ]
    places = [[place for place, _ in each] for each in (one, other)]
    return messages[0] == messages[1] and (body is TEXT or places[0] == places[1])


@BODIES
def test_a_stream_survives_a_killed_backend(start: Start, body: dict[str, Any]) -> None:
    server = start(STEP_SECONDS=STEP)
    calm = ask(server.port, request_bytes(PATH, body))
    with Client(server.port) as client:
        client.send(request_bytes(PATH, body)).read_body(900)
        killed = server.backend()
        killed.kill()
        until(lambda: gone([killed]), "the backend has ended")
        disturbed = client.finish()
    assert calm.whole
    assert disturbed.whole
    assert same(body, disturbed.body, calm.body)


@BODIES
def test_a_stream_goes_on_after_the_server_was_killed(
    start: Start, tmp_path: Path, body: dict[str, Any]
) -> None:
    journal = tmp_path / "journal.db"
    server = start(STEP_SECONDS=STEP, JOURNAL=journal)
    calm = ask(server.port, request_bytes(PATH, body))
    client = Client(server.port).send(request_bytes(PATH, body)).read_body(900)
    stream = client.so_far().headers["x-stream-id"]
    received = client.so_far().body
    client.abort()
    everyone = family(server.process.pid)
    kill(everyone)
    server.process.wait()
    until(lambda: gone(everyone), "everyone has ended")
    server = start(STEP_SECONDS=STEP, JOURNAL=journal)
    received = received[: received.rindex(b"\n\n") + 2]
    last = split(received.decode())[-1][0]
    again = request_bytes(f"/v1/streams/{stream}", method="GET", headers={"Last-Event-ID": last})
    rest = ask(server.port, again)
    assert rest.status == 200, rest.text
    assert rest.whole
    assert same(body, received + rest.body, calm.body)
