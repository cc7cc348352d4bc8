"""A request may limit its reply's time; then that reply alone ends, in whatever state it is.

Covers `deadline`.
"""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from processes import Running, running_server, until
from raw_http import Answer, Client, ask, request_bytes
from reliability.conftest import Start
from reliability.streams import PATH, begin, finish_all, prompt, works
from scripted_replies import long_reply, scripted_reply

HEADER = "X-Request-Timeout"
TEXT = "A long one. "
SEED = long_reply(TEXT)
ASKED = {"text": TEXT, "seed": SEED, "max_tokens": 2048}
OPENAI = {"model": "scripted", "prompt": TEXT, "seed": SEED, "max_tokens": 2048}
CHAT = {"model": "scripted", "messages": [{"role": "user", "content": TEXT}], "max_tokens": 2048}
WRONG = ("", "0", "-1", "soon", "nan", "inf", "1e9", "1_0", "1 0", "1s")
SAID = "longer than the request's timeout of 0.3 s"


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("slow")
    env = {"STEP_SECONDS": "0.02", "JOURNAL": str(folder / "journal.db")}
    with running_server(folder, env=env) as running:
        yield running


def asked(server: Running, path: str, body: object, timeout: str | None = "0.3") -> Answer:
    headers = {} if timeout is None else {HEADER: timeout}
    return ask(server.port, request_bytes(path, body, headers=headers))


@pytest.mark.slow
@pytest.mark.parametrize(("timeout", "more"), [("0.3", {}), (None, {"timeout": 0.3})])
def test_a_raw_stream_is_cut(slow: Running, timeout: str | None, more: dict[str, float]) -> None:
    answer = asked(slow, PATH, ASKED | more, timeout)
    assert answer.status == 200
    assert not answer.whole
    assert scripted_reply(TEXT, SEED, 2048).text.encode().startswith(answer.body)


def test_a_native_stream_of_events_says_so(slow: Running) -> None:
    answer = asked(slow, "/chat/scripted", ASKED)
    assert answer.whole
    last = answer.text.rstrip().rpartition("\n\n")[2]
    assert last.startswith("event: error\n")
    said = json.loads(last.partition("data: ")[2])
    assert said["status_code"] == 504
    assert SAID in said["message"]


@pytest.mark.parametrize(
    ("path", "body"), [("/v1/completions", OPENAI), ("/v1/chat/completions", CHAT)]
)
def test_an_openai_stream_ends_with_the_error_and_is_not_done(
    slow: Running, path: str, body: dict[str, object]
) -> None:
    answer = asked(slow, path, body | {"stream": True, "ignore_eos": True})
    *_, last, end = answer.text.split("\n\n")
    assert end == ""
    said = json.loads(last.removeprefix("data: "))["error"]
    assert said["code"] == "deadline_exceeded"
    assert SAID in said["message"]
    assert "[DONE]" not in answer.text


@pytest.mark.parametrize(
    ("path", "body"), [(PATH, ASKED | {"stream": False}), ("/v1/completions", OPENAI | {"n": 3})]
)
def test_a_whole_answer_is_a_504_that_no_client_repeats_by_itself(
    slow: Running, path: str, body: dict[str, object]
) -> None:
    answer = asked(slow, path, body)
    assert answer.status == 504
    assert answer.headers["x-should-retry"] == "false"
    assert SAID in answer.text


def test_of_header_and_body_the_shorter_holds(slow: Running) -> None:
    body = ASKED | {"stream": False}
    assert SAID in asked(slow, PATH, body | {"timeout": 60}, "0.3").text
    assert SAID in asked(slow, PATH, body | {"timeout": 0.3}, "60").text


def test_who_has_time_enough_is_not_touched(slow: Running) -> None:
    body = {"text": "Hello", "seed": 5, "max_tokens": 20, "timeout": 60}
    answer = asked(slow, PATH, body, "60")
    assert answer.whole
    assert answer.text == scripted_reply("Hello", 5, 20).text


@pytest.mark.parametrize("timeout", WRONG)
def test_other_times_are_refused(slow: Running, timeout: str) -> None:
    answer = asked(slow, PATH, ASKED, timeout)
    assert answer.status == 400
    assert f"{HEADER} is" in answer.json()["message"]
    assert "send a number from 0.001 to 86400" in answer.json()["message"]


@pytest.mark.parametrize("value", [0, -1, 1e9, True, [1], "1"])
def test_other_times_in_an_openai_body_are_refused(slow: Running, value: object) -> None:
    answer = asked(slow, "/v1/completions", OPENAI | {"timeout": value}, None)
    assert answer.status == 400
    assert answer.json()["error"]["param"] == "timeout"


@pytest.mark.slow
def test_it_can_be_read_on_and_has_time_again(slow: Running) -> None:
    tokens = 60
    seed = long_reply(TEXT, tokens, at_least=tokens)
    had = asked(slow, PATH, {"text": TEXT, "seed": seed, "max_tokens": tokens})
    assert not had.whole
    path = f"/v1/streams/{had.headers['x-stream-id']}?from={len(had.body)}"
    rest = ask(slow.port, request_bytes(path, method="GET"))
    assert rest.whole
    assert had.body + rest.body == scripted_reply(TEXT, seed, tokens).text.encode()


@pytest.mark.slow
def test_who_joins_a_stream_has_a_time_of_his_own(slow: Running) -> None:
    """The computing request continues."""
    tokens = 60
    seed = long_reply(TEXT, tokens, at_least=tokens)
    body = {"text": TEXT, "seed": seed, "max_tokens": tokens}
    key = {"Idempotency-Key": "joined"}
    with Client(slow.port) as first, Client(slow.port) as second:
        first.send(request_bytes(PATH, body, headers=key)).read_body()
        second.send(request_bytes(PATH, body, headers={**key, HEADER: "0.3"}))
        assert not second.finish().whole
        answer = first.finish()
    assert answer.whole
    assert answer.text == scripted_reply(TEXT, seed, tokens).text


@pytest.mark.slow
def test_no_row_is_left_behind(slow: Running) -> None:
    until(lambda: slow.rows_seated() == 0, "all rows are free")
    assert works(slow.port)


@pytest.mark.slow
def test_one_that_waits_ends_and_those_in_rows_go_on(start: Start) -> None:
    server = start(STEP_SECONDS=0.02)
    streams = [begin(server.port, f"number {number}", 100) for number in range(32)]
    answer = asked(server, PATH, ASKED | {"stream": False})
    assert answer.status == 504
    until(lambda: server.waiting() == 0, "nobody waits")
    finish_all(streams)


@pytest.mark.slow
def test_it_holds_while_no_backend_answers(start: Start, tmp_path: Path) -> None:
    server = start(STEP_SECONDS=0.02, JOURNAL=tmp_path / "journal.db")
    with Client(server.port) as client:
        client.send(request_bytes(PATH, ASKED, headers={HEADER: "1.5"})).read_body()
        backend = server.backend()
        backend.suspend()
        try:
            assert not client.finish().whole
        finally:
            backend.resume()
    until(server.ready, "readiness is back")
    assert ask(server.port, prompt("Hello", 5, 20)).text == scripted_reply("Hello", 5, 20).text
