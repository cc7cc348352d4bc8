"""Requests to a server on this machine: JSON, events, and what is wrong in its own words."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import ClassVar

import pytest

from rowcast.errors import RowcastError
from rowcast.serving.client import Client, message_of


class Answers(BaseHTTPRequestHandler):
    """Answers with what the test has set; notes what was sent."""

    status: ClassVar[int] = 200
    body: ClassVar[bytes] = b"{}"
    seen: ClassVar[list[tuple[str, str, str | None]]] = []

    def do_GET(self) -> None:
        self.seen.append((self.command, self.path, self.headers["X-Secret"]))
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    def do_POST(self) -> None:
        sent = self.rfile.read(int(self.headers["Content-Length"])).decode()
        self.seen.append((self.path, sent, self.headers["Content-Type"]))
        self.send_response(self.status)
        self.end_headers()
        self.wfile.write(self.body)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture
def client() -> Iterator[Client]:
    Answers.status, Answers.body = 200, b"{}"
    Answers.seen.clear()
    with HTTPServer(("127.0.0.1", 0), Answers) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield Client("127.0.0.1", server.server_port, {"X-Secret": "s"})
        server.shutdown()
        thread.join()


def test_a_get_returns_status_and_json(client: Client, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:9")
    Answers.status, Answers.body = 503, b'{"status": "not ready"}'
    assert client.get("/health") == (503, {"status": "not ready"})
    assert Answers.seen == [("GET", "/health", "s")]


def test_a_post_sends_and_returns_json(client: Client) -> None:
    Answers.body = b'{"a": 1}'
    assert client.post("/x", {"prompt": "é"}) == {"a": 1}
    ((path, sent, kind),) = Answers.seen
    assert (path, json.loads(sent), kind) == ("/x", {"prompt": "é"}, "application/json")


@pytest.mark.parametrize("method", ["post", "events"])
@pytest.mark.parametrize(
    "body",
    [
        {"error": {"message": "no", "type": "t"}},
        {"status_code": 400, "message": "no"},
        {"error": "no"},
    ],
)
def test_an_error_is_raised_in_the_server_s_words(
    client: Client, method: str, body: object
) -> None:
    Answers.status, Answers.body = 400, json.dumps(body).encode()
    with pytest.raises(RowcastError, match=r"^no$"):
        list(getattr(client, method)("/x", {}))


def test_events_end_with_done(client: Client) -> None:
    Answers.body = b': waiting\nid: 1\ndata: {"a": 1}\n\ndata: {"a": 2}\n\ndata: [DONE]\n\n'
    assert list(client.events("/x", {})) == [{"a": 1}, {"a": 2}]


def test_an_error_event_is_raised(client: Client) -> None:
    Answers.body = b'data: {"a": 1}\n\ndata: {"error": {"message": "broke"}}\n\n'
    events = client.events("/x", {})
    assert next(events) == {"a": 1}
    with pytest.raises(RowcastError, match="broke"):
        next(events)


def test_a_stream_without_an_end_is_an_error(client: Client) -> None:
    Answers.body = b'data: {"a": 1}\n\n'
    with pytest.raises(RowcastError, match="cut"):
        list(client.events("/x", {}))


def test_what_is_not_json_is_an_error(client: Client) -> None:
    Answers.body = b"<html>"
    with pytest.raises(RowcastError, match="not JSON"):
        client.get("/x")
    assert message_of(["odd"]) == "['odd']"
