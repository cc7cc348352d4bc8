"""Paths as clients send them: base URLs without /v1, HEAD, and unknown paths, at both ports.

Covers `frontend/api/openai`.
"""

import json
from pathlib import Path

import pytest

from contract.asking import get, post
from contract.conftest import JWT_SECRET, PROXY_SECRET, Stack, encoded
from processes import Running, running_proxy, running_server
from raw_http import Answer, ask, request_bytes

CHAT = {"model": "scripted", "messages": [{"role": "user", "content": "Hi"}], "seed": 3}
TEXT = {"model": "scripted", "prompt": "Hi", "max_tokens": 5, "seed": 3}


def both(
    server: Running, stack: Stack, path: str, method: str, body: object = None
) -> list[Answer]:
    """Send the same request to a server and to a proxy."""
    token = {"Authorization": stack.authorization}
    raws = [request_bytes(path, body, method=method, headers=each) for each in ({}, token)]
    return [ask(port, raw) for port, raw in zip((server.port, stack.proxy.port), raws, strict=True)]


@pytest.mark.parametrize(
    ("path", "body"), [("/chat/completions", CHAT), ("/completions", TEXT), ("/models", None)]
)
def test_a_base_url_without_v1_is_answered_the_same(
    server: Running, stack: Stack, path: str, body: object
) -> None:
    method = "GET" if body is None else "POST"
    for short, long in zip(
        both(server, stack, path, method, body),
        both(server, stack, f"/v1{path}", method, body),
        strict=True,
    ):
        assert short.status == long.status == 200
        told = [each.json() for each in (short, long)]
        for each in told:
            each.pop("id", None)
            each.pop("created", None)
            each.pop("usage", None)  # contains speeds
        assert told[0] == told[1]


@pytest.mark.parametrize("path", ["/chat/completions", "/completions"])
def test_its_errors_have_openais_form(server: Running, stack: Stack, path: str) -> None:
    for answer in both(server, stack, path, "POST", {"model": "gpt-4", "prompt": 1}):
        assert answer.status in {400, 404}
        assert set(answer.json()) == {"error"}
    assert set(ask(stack.proxy.port, request_bytes(path, {})).json()) == {"error"}  # no token


def test_the_native_chat_keeps_its_path(server: Running) -> None:
    native = post(server.port, {"text": "Hi", "max_tokens": 3, "stream": False}, "/chat/scripted")
    assert set(native.json()) >= {"answer", "finish_reason"}


@pytest.mark.slow
def test_a_model_that_is_called_completions_keeps_its_native_chat(tmp_path: Path) -> None:
    with running_server(tmp_path, env={"MODEL_NAME": "completions"}) as server:
        body = {"text": "Hi", "max_tokens": 3, "stream": False}
        assert "answer" in post(server.port, body, "/chat/completions").json()
        chat = CHAT | {"model": "completions"}
        assert "choices" in post(server.port, chat, "/v1/chat/completions").json()


@pytest.mark.slow
def test_a_stream_begun_there_is_resumed(tmp_path: Path) -> None:
    secrets = {"JWT_SECRET": JWT_SECRET, "PROXY_SECRET": PROXY_SECRET}
    journal = {"JOURNAL": str(tmp_path / "journal.db")}
    with (
        running_server(tmp_path, env=secrets | journal) as server,
        running_proxy(tmp_path, server, env=secrets) as proxy,
    ):
        token = _token()
        first = post(proxy.port, CHAT | {"stream": True}, "/chat/completions", **token)
        name = first.headers["x-stream-id"]
        again = get(proxy.port, f"/v1/streams/{name}", **token)
        assert again.status == 200
        assert told(again) == told(first)
        assert len(told(first)) > 20
        raw = request_bytes(f"/v1/streams/{name}", method="HEAD", headers=token)
        assert (ask(proxy.port, raw).status, ask(proxy.port, raw).body) == (200, b"")
        assert told(get(proxy.port, f"/v1/streams/{name}", **token)) == told(first)


def told(stream: Answer) -> str:
    """Return the text of a stream's events, however it was cut."""
    data = [line[6:] for line in stream.text.splitlines() if line.startswith("data: {")]
    choices = (choice for each in data for choice in json.loads(each)["choices"])
    return "".join(choice["delta"].get("content") or "" for choice in choices)


def _token() -> dict[str, str]:
    return {"Authorization": f"Bearer {encoded(json.dumps({'team_id': 'one'}))}"}


@pytest.mark.parametrize(
    "path", ["/liveness", "/health", "/readiness", "/docs", "/openapi.json", "/", "/v1/models"]
)
def test_head_is_answered_as_get_without_its_body(server: Running, stack: Stack, path: str) -> None:
    heads, bodies = (both(server, stack, path, method) for method in ("HEAD", "GET"))
    for head, body in zip(heads, bodies, strict=True):
        assert (head.status, head.body) == (200, b"")
        assert body.body
        assert head.headers["content-type"] == body.headers["content-type"]
        assert int(head.headers["content-length"]) > 0


def test_head_where_get_is_not_is_a_405(server: Running, stack: Stack) -> None:
    assert [each.status for each in both(server, stack, "/v1/completions", "HEAD")] == [405, 405]


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/v1/nowhere", 404),
        ("POST", "/v1/audio/speech", 404),
        ("POST", "/v1/v1/chat/completions", 404),
        ("GET", "/v1/a%20b%C3%A9", 404),
        ("GET", "/v1/chat/completions", 405),
        ("POST", "/v1/models", 405),
        ("PUT", "/v1/streams/00ff", 405),
        ("GET", "/nowhere", 404),
        ("GET", "/inference/scripted", 405),
    ],
)
def test_what_is_not_there_is_told_in_the_same_words(
    server: Running, stack: Stack, method: str, path: str, status: int
) -> None:
    direct, proxied = both(server, stack, path, method)
    assert (direct.status, proxied.status) == (status, status)
    assert direct.json() == proxied.json()
    assert ("error" in direct.json()) == path.startswith("/v1/")
