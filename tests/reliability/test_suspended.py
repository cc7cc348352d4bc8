"""Health is accurate for a backend that is stopped, and for a server that is only busy."""

import contextlib
import signal
from collections.abc import Iterator

import pytest

from processes import Running, until
from raw_http import Answer, Client, ask, request_bytes
from reliability.conftest import Start
from reliability.streams import PATH, begin, prompt, works
from scripted_replies import long_reply

pytestmark = pytest.mark.slow

ROWS = 32
LINE = 2


def _get(server: Running, path: str) -> Answer:
    return ask(server.port, request_bytes(path, method="GET"))


def _seconds_to_wait(answer: Answer) -> int:
    return int(answer.headers["retry-after"])


def test_a_stopped_backend_fails_readiness_while_liveness_holds(start: Start) -> None:
    server = start(STEP_SECONDS=0.01, SILENCE_SECONDS=2)
    stream = begin(server.port, "with a long pause", 100)
    backend = server.backend()
    backend.send_signal(signal.SIGSTOP)
    until(lambda: _get(server, "/readiness").status == 503, "readiness fails")
    assert _get(server, "/liveness").status == 200
    for path in ("/health", "/health_check", "/"):
        assert _get(server, path).status == 503
    refused = ask(server.port, prompt("Hello", 1, 5))
    assert refused.status == refused.json()["status_code"] == 503
    assert _seconds_to_wait(refused) >= 1
    backend.send_signal(signal.SIGCONT)
    until(server.ready, "readiness is back")
    stream.finish()
    assert works(server.port)


def test_who_waits_for_an_answer_is_told_to_come_back_when_no_backend_comes(start: Start) -> None:
    server = start(STEP_SECONDS=0.05, RECOVERY_SECONDS=1)
    stream = begin(server.port, "that ends in between", 100)
    asked = {"max_tokens": 500, "seed": long_reply("Hello", 500, at_least=100)}
    bodies = [
        request_bytes(PATH, {"text": "Hello", "stream": False, **asked}),
        request_bytes("/v1/completions", {"model": "scripted", "prompt": "Hello", **asked}),
    ]
    clients = [Client(server.port).send(body) for body in bodies]
    until(lambda: server.rows_seated() == 3, "all are seated")
    launcher, backend = server.launcher(), server.backend()
    launcher.suspend()  # so that the next backend is not started
    backend.kill()
    try:
        for client in clients:
            with client:
                answer = client.finish()
            assert answer.status == 503, answer.text
            assert _seconds_to_wait(answer) >= 1
            assert "was not replaced in time" in answer.text
        assert stream.is_cut()
    finally:
        launcher.resume()
    until(server.ready, "the next backend")
    assert works(server.port)


@pytest.fixture
def full(start: Start) -> Iterator[tuple[Running, list[Client]]]:
    """A server whose rows and waiting line are full, and the clients that fill it."""
    server = start(STEP_SECONDS=0.05, WAITING_LINE=LINE)
    with contextlib.ExitStack() as stack:
        clients = []
        for number in range(ROWS + LINE):
            client = stack.enter_context(Client(server.port))
            clients.append(client.send(_endless(f"Client {number}. ")).read_headers())
        until(lambda: server.rows_seated() == ROWS and server.waiting() == LINE, "all is full")
        yield server, clients


def _endless(text: str) -> bytes:
    """Return a request whose reply outlasts the test."""
    return request_bytes(
        PATH, {"text": text, "seed": long_reply(text, at_least=600), "max_tokens": 2048}
    )


def test_a_full_waiting_line_answers_503_with_retry_after_at_once(
    full: tuple[Running, list[Client]],
) -> None:
    server, clients = full
    refused = ask(server.port, prompt("One more", 1, 5))
    assert refused.status == refused.json()["status_code"] == 503
    assert _seconds_to_wait(refused) >= 1
    assert server.rows_seated() == ROWS, "nobody had to leave before the refusal"
    clients[-1].leave()
    until(lambda: server.waiting() == LINE - 1, "the place in the line is free")
    with Client(server.port) as next_one:
        assert next_one.send(prompt("One more", 1, 5)).read_headers().so_far().status == 200


@pytest.mark.parametrize("path", [PATH, "/v1/completions", "/v1/chat/completions"])
def test_at_the_door_is_said_what_is_said_inside(
    full: tuple[Running, list[Client]], path: str
) -> None:
    """A request that is read only after accept is let in, so the test may have to try again."""
    server, _ = full

    def refused(query: str) -> Answer:
        asked = request_bytes(path + query, {}, headers={"X-Request-ID": "mine"})
        return ask(server.port, asked)

    inside = refused("?in=1")
    assert inside.headers["server"] == "gunicorn"
    answers = [inside]
    while "server" in answers[-1].headers:
        assert len(answers) < 1000, "the door never answers"
        answers.append(refused(""))
    at_door = answers[-1]
    assert at_door.status == inside.status == 503
    assert at_door.json() == inside.json()
    for name in ("content-type", "retry-after", "x-request-id"):
        assert at_door.headers[name] == inside.headers[name]


def test_a_full_waiting_line_changes_neither_health_answer(
    full: tuple[Running, list[Client]],
) -> None:
    server, _ = full
    for path in ("/liveness", "/readiness", "/health", "/health_check", "/"):
        assert _get(server, path).status == 200
    assert server.waiting() == LINE


def test_who_leaves_the_waiting_line_is_missed_though_nothing_is_written(
    full: tuple[Running, list[Client]],
) -> None:
    server, clients = full
    clients[-1].abort()
    clients[-2].leave()
    until(lambda: server.waiting() == 0, "both have left the line")
    assert server.rows_seated() == ROWS
