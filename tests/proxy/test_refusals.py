"""What the proxy itself refuses, and the form of its errors.

Covers `rowcast_proxy/app`, `rowcast_proxy/errors`, `inbound`.
"""

import json
import time

import pytest

from processes import Running, until

from .clients import SECRET, ask, bearer, raw_request, send_raw, token
from .fake_upstream import FakeUpstream

TOKEN_ROUTES = [
    ("POST", "/"),
    ("POST", "/predictions/scripted"),
    ("POST", "/inference/scripted"),
    ("POST", "/chat/scripted"),
    ("POST", "/v1/completions"),
    ("POST", "/v1/chat/completions"),
    ("GET", "/v1/models"),
    ("GET", "/v1/models/scripted"),
    ("POST", "/models/load"),
    ("POST", "/models/unload"),
    ("POST", "/v1/count_tokens"),
    ("POST", "/tokenize"),
    ("POST", "/v1/detokenize"),
]
MESSAGES = [("POST", "/v1/messages"), ("POST", "/v1/messages/count_tokens")]


@pytest.mark.parametrize(("method", "path"), [*TOKEN_ROUTES, *MESSAGES])
def test_every_route_of_a_dialect_asks_for_a_token(
    proxy: Running, upstream: FakeUpstream, method: str, path: str
) -> None:
    reply = ask(proxy.port, method, path)
    assert reply.status == 401
    assert reply.headers["WWW-Authenticate"] == "Bearer"
    assert ask(proxy.port, method, path, headers=bearer()).status == 200
    assert upstream.next_call().line == f"{method} {path} HTTP/1.1"
    assert upstream.calls.empty()


def test_all_wrong_tokens_get_the_same_answer(proxy: Running, upstream: FakeUpstream) -> None:
    wrong = [
        token(exp=int(time.time()) - 100),
        token(nbf=int(time.time()) + 100),
        token()[:-3] + "AAA",
        "nonsense",
        SECRET,
    ]
    replies = [
        ask(proxy.port, "POST", "/", headers={"Authorization": f"Bearer {each}"}) for each in wrong
    ]
    assert {reply.status for reply in replies} == {401}
    assert len({reply.body for reply in replies}) == 1
    challenges = {reply.headers["WWW-Authenticate"] for reply in replies}
    assert challenges == {'Bearer error="invalid_token"'}
    assert replies[0].message
    assert upstream.calls.empty()


def test_two_authorization_headers_are_refused(proxy: Running, upstream: FakeUpstream) -> None:
    twice = raw_request("POST / HTTP/1.1", "Host: a", f"Authorization: Bearer {token()}")
    assert send_raw(proxy.port, twice).status == 401
    basic = raw_request("POST / HTTP/1.1", "Host: a", "Authorization: Basic eDp5")
    assert send_raw(proxy.port, basic).status == 401
    assert upstream.calls.empty()


def test_a_token_without_team_is_told_so(proxy: Running, upstream: FakeUpstream) -> None:
    reply = ask(proxy.port, "POST", "/", headers=bearer(team_id=None))
    assert (reply.status, reply.message) == (403, "The token carries no team_id.")
    assert upstream.calls.empty()


@pytest.mark.parametrize(
    "target",
    [
        "//health",
        "/inference/..%2fadmin",
        "/inference/%2e%2e/admin",
        "/inference/../admin",
        "/inference/a;b",
        "/inference/a%00",
        "/inference/a%0d%0aX-Rowcast-Team:red",
        "/%2e/health",
        "/metrics/server",
        "http://a.example/admin",
    ],
)
def test_paths_outside_the_table_go_nowhere(
    proxy: Running, upstream: FakeUpstream, target: str
) -> None:
    reply = send_raw(proxy.port, raw_request(f"POST {target} HTTP/1.1", "Host: a"))
    assert reply.status == 404
    assert "nothing is served at /" in reply.message
    assert upstream.calls.empty()


def test_a_wrong_method_is_told_the_right_one(proxy: Running, upstream: FakeUpstream) -> None:
    reply = ask(proxy.port, "GET", "/inference/scripted", headers=bearer())
    assert (reply.status, reply.headers["Allow"]) == (405, "POST")
    assert "POST" in reply.message
    reply = ask(proxy.port, "DELETE", "/", headers=bearer())
    assert (reply.status, reply.headers["Allow"]) == (405, "GET, HEAD, POST")
    assert upstream.calls.empty()


def test_refusals_are_json_with_a_request_id(proxy: Running) -> None:
    reply = ask(proxy.port, "GET", "/nowhere", headers={"X-Request-ID": "abc"})
    assert reply.headers["Content-Type"] == "application/json"
    assert reply.headers["X-Request-ID"] == "abc"
    assert json.loads(reply.body)["status_code"] == 404


def test_a_team_cannot_write_into_the_log(proxy: Running, upstream: FakeUpstream) -> None:
    """A claim is quoted, so that it stays one value on one line."""
    headers = bearer(team_id='red" status=500\nforged line') | {"X-Request-ID": "odd-team"}
    assert ask(proxy.port, "POST", "/", b"{}", headers).status == 200
    until(lambda: "id=odd-team" in proxy.output(), "the line of the request")
    (line,) = (line for line in proxy.output().splitlines() if "odd-team" in line)
    assert r'team="red\" status=500\nforged line" method=POST' in line
    assert not any(line.startswith("forged") for line in proxy.output().splitlines())


def test_a_refused_request_is_logged_without_its_token(proxy: Running) -> None:
    made = token(token_id="seen-nowhere")
    headers = {"Authorization": f"Bearer {made}x", "X-Request-ID": "look-for-me"}
    ask(proxy.port, "POST", "/", b"secret prompt", headers)
    until(lambda: "look-for-me" in proxy.output(), "the line of the request")
    lines = [line for line in proxy.output().splitlines() if "look-for-me" in line]
    assert len(lines) == 1
    assert "status=401" in lines[0]
    assert "reason=unauthorized" in lines[0]
    assert made not in proxy.output()
    assert "secret prompt" not in proxy.output()


@pytest.mark.parametrize(
    ("method", "path", "status", "type_", "code"),
    [
        ("POST", "/v1/completions", 401, "authentication_error", "invalid_api_key"),
        ("POST", "/tokenize", 401, "authentication_error", "invalid_api_key"),
        ("POST", "/responses", 401, "authentication_error", "invalid_api_key"),
        ("GET", "/responses/resp_00ff", 401, "authentication_error", "invalid_api_key"),
        ("POST", "/v1/engines", 404, "invalid_request_error", None),
        ("GET", "/v1/completions", 405, "invalid_request_error", None),
    ],
)
def test_at_openais_paths_refusals_have_openais_form(
    proxy: Running, method: str, path: str, status: int, type_: str, code: str | None
) -> None:
    reply = ask(proxy.port, method, path)
    assert reply.status == status
    body = json.loads(reply.body)
    assert set(body) == {"error"}
    error = body["error"]
    assert error.pop("message")
    assert error == {"type": type_, "param": None, "code": code}


@pytest.mark.parametrize(
    ("method", "path", "headers", "status", "type_"),
    [
        ("POST", "/v1/messages", {}, 401, "authentication_error"),
        ("POST", "/v1/messages?beta=true", {}, 401, "authentication_error"),
        ("GET", "/v1/messages", {}, 405, "invalid_request_error"),
        ("POST", "/v1/messages/batches", {}, 404, "not_found_error"),
        ("GET", "/v1/models", {"anthropic-version": "2023-06-01"}, 401, "authentication_error"),
        ("POST", "/v1/messages", bearer(team_id=None), 403, "permission_error"),
    ],
)
def test_at_anthropics_paths_refusals_have_its_form(
    proxy: Running, method: str, path: str, headers: dict[str, str], status: int, type_: str
) -> None:
    reply = ask(proxy.port, method, path, headers={**headers, "X-Request-ID": "mine"})
    assert reply.status == status
    body = json.loads(reply.body)
    assert body["error"].pop("message")
    assert body == {"type": "error", "error": {"type": type_}, "request_id": "mine"}
    assert reply.headers["request-id"] == reply.headers["X-Request-ID"] == "mine"


def test_a_token_may_come_as_a_key(proxy: Running, upstream: FakeUpstream) -> None:
    made = token()
    for headers in ({"x-api-key": made}, {"x-api-key": made, "Authorization": f"Bearer {made}"}):
        assert ask(proxy.port, "POST", "/v1/messages", headers=headers).status == 200
        call = upstream.next_call()
        assert {"x-api-key", "authorization"}.isdisjoint(name.lower() for name, _ in call.headers)
        assert made not in str(call)


def test_two_different_tokens_are_refused(proxy: Running, upstream: FakeUpstream) -> None:
    blue, red = token(), token(team_id="red")
    for headers in (
        {"x-api-key": blue, "Authorization": f"Bearer {red}"},
        {"x-api-key": "sk-ant-1", "Authorization": f"Bearer {blue}"},
        {"x-api-key": blue, "Authorization": "Basic eDp5"},
        {"x-api-key": f"Bearer {blue}"},
        {"x-api-key": f"{blue}, {blue}"},
    ):
        assert ask(proxy.port, "POST", "/v1/messages", headers=headers).status == 401
    assert upstream.calls.empty()
