"""Requests to a server on this machine: JSON, events, and errors in the server's own words."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import pytest

from json_responder import responding
from rowcast.errors import RowcastError
from rowcast.serving.client import Client, message_of

Received = tuple[str, str, bytes, dict[str, str]]  # method, path, body, headers


@contextmanager
def serving(answer: bytes, status: int = 200) -> Iterator[tuple[Client, list[Received]]]:
    """Yield a client of a server that has one answer, and what that server receives."""
    received: list[Received] = []

    def respond(method: str, path: str, body: bytes) -> tuple[int, bytes]:
        received.append((method, path, body, headers[-1]))
        return status, answer

    with responding(respond) as (url, headers):
        yield Client("127.0.0.1", urlsplit(url).port or 0, {"X-Secret": "s"}), received


def test_a_get_returns_status_and_json(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    with serving(b'{"status": "not ready"}', 503) as (client, received):
        assert client.get("/health") == (503, {"status": "not ready"})
    ((method, path, _, headers),) = received
    assert (method, path, headers["X-Secret"]) == ("GET", "/health", "s")


def test_a_post_sends_and_returns_json() -> None:
    with serving(b'{"a": 1}') as (client, received):
        assert client.post("/x", {"prompt": "é"}) == {"a": 1}
    ((method, path, body, headers),) = received
    assert (method, path, json.loads(body)) == ("POST", "/x", {"prompt": "é"})
    assert headers["Content-Type"] == "application/json"


@pytest.mark.parametrize("method", ["post", "events"])
@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "no", "type": "t"}},
        {"status_code": 400, "message": "no"},
        {"error": "no"},
    ],
)
def test_an_error_is_raised_in_the_server_s_words(method: str, body: object) -> None:
    with (
        serving(json.dumps(body).encode(), 400) as (client, _),
        pytest.raises(RowcastError, match=r"^no$"),
    ):
        list(getattr(client, method)("/x", {}))


def test_events_end_with_done() -> None:
    events = b': waiting\nid: 1\ndata: {"a": 1}\n\ndata: {"a": 2}\n\ndata: [DONE]\n\n'
    with serving(events) as (client, _):
        assert list(client.events("/x", {})) == [{"a": 1}, {"a": 2}]


def test_an_error_event_is_raised() -> None:
    answer = b'data: {"a": 1}\n\ndata: {"error": {"message": "broke"}}\n\n'
    with serving(answer) as (client, _):
        events = client.events("/x", {})
        assert next(events) == {"a": 1}
        with pytest.raises(RowcastError, match="broke"):
            next(events)


def test_a_stream_without_an_end_is_an_error() -> None:
    with (
        serving(b'data: {"a": 1}\n\n') as (client, _),
        pytest.raises(RowcastError, match="cut"),
    ):
        list(client.events("/x", {}))


def test_an_answer_that_is_not_json_is_an_error() -> None:
    with serving(b"<html>") as (client, _), pytest.raises(RowcastError, match="not JSON"):
        client.get("/x")
    assert message_of(["odd"]) == "['odd']"
