"""Web pages of other origins: an allow-list, preflights without a token, readable answers."""

from collections.abc import Iterator

import pytest

from processes import Running
from rowcast_proxy.cors import EXPOSED, Cors
from rowcast_proxy.errors import Forbidden, MethodNotAllowed

from .clients import Reply, ask, bearer
from .conftest import running_proxy
from .fake_upstream import LAST_CHUNK, STREAM_HEAD, Call, FakeUpstream, chunk

PAGE = "https://page.example"
ALLOWED = "Access-Control-Allow-Origin"


@pytest.fixture(scope="module")
def friendly_proxy(
    one_upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    """A proxy that allows one page."""
    listed = {"PROXY_CORS_ORIGINS": f"{PAGE}, http://localhost:3000"}
    with running_proxy(tmp_path_factory.mktemp("cors"), one_upstream.url, listed) as proxy:
        yield proxy


def preflight(port: int, path: str, origin: str = PAGE, **headers: str) -> Reply:
    wanted = {"Origin": origin, "Access-Control-Request-Method": "POST"}
    return ask(port, "OPTIONS", path, headers=wanted | headers)


@pytest.mark.slow
def test_a_preflight_is_answered_without_a_token(
    friendly_proxy: Running, upstream: FakeUpstream
) -> None:
    names = "authorization,content-type,x-stainless-lang"
    asked = {"Access-Control-Request-Headers": names}
    reply = preflight(friendly_proxy.port, "/v1/chat/completions", **asked)
    assert (reply.status, reply.body) == (204, b"")
    assert reply.headers[ALLOWED] == PAGE
    assert reply.headers["Access-Control-Allow-Methods"] == "POST, OPTIONS"
    assert reply.headers["Access-Control-Allow-Headers"] == names
    assert int(reply.headers["Access-Control-Max-Age"]) > 0
    assert reply.headers["Vary"] == "Origin"
    assert reply.headers["Access-Control-Allow-Credentials"] is None
    assert upstream.calls.empty()


@pytest.mark.parametrize(
    ("path", "origin", "status"),
    [
        ("/v1/models", "http://localhost:3000", 204),
        ("/v1/models", "https://evil.example", 403),
        ("/v1/models", "null", 403),
        ("/v1/models", "https://page.example.evil.example", 403),
        ("/nowhere", PAGE, 404),
    ],
)
def test_only_listed_origins_and_known_paths_are_answered(
    friendly_proxy: Running, path: str, origin: str, status: int
) -> None:
    reply = preflight(friendly_proxy.port, path, origin)
    assert reply.status == status
    assert (reply.headers[ALLOWED] == origin) == (origin in {PAGE, "http://localhost:3000"})


def stream(call: Call) -> None:
    call.send(STREAM_HEAD + chunk(b"a ") + chunk(b"b") + LAST_CHUNK)


def test_answers_and_streams_can_be_read_by_the_page(
    friendly_proxy: Running, upstream: FakeUpstream
) -> None:
    upstream.answer = stream
    reply = ask(friendly_proxy.port, "POST", "/", b"{}", bearer() | {"Origin": PAGE})
    assert (reply.status, reply.body) == (200, b"a b")
    assert reply.headers[ALLOWED] == PAGE
    assert reply.headers["Access-Control-Expose-Headers"] == EXPOSED
    assert upstream.next_call().header("Origin") is None


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("POST", "/", 401), ("GET", "/nowhere", 404), ("PUT", "/", 405), ("GET", "/liveness", 200)],
)
def test_refusals_can_be_read_by_the_page(
    friendly_proxy: Running, method: str, path: str, status: int
) -> None:
    reply = ask(friendly_proxy.port, method, path, headers={"Origin": PAGE})
    assert (reply.status, reply.headers[ALLOWED]) == (status, PAGE)


def test_other_pages_and_programs_get_what_they_got(
    friendly_proxy: Running, upstream: FakeUpstream
) -> None:
    for headers in ({}, {"Origin": "https://evil.example"}):
        reply = ask(friendly_proxy.port, "POST", "/", b"{}", bearer() | headers)
        assert (reply.status, reply.headers[ALLOWED], reply.headers["Vary"]) == (
            200,
            None,
            "Origin",
        )


def test_without_a_list_nothing_changes_and_options_says_why(
    proxy: Running, upstream: FakeUpstream
) -> None:
    reply = ask(proxy.port, "POST", "/", b"{}", bearer() | {"Origin": PAGE})
    assert (reply.status, reply.headers[ALLOWED], reply.headers["Vary"]) == (200, None, None)
    refused = preflight(proxy.port, "/inference/scripted")
    assert (refused.status, refused.headers["Allow"]) == (405, "POST, OPTIONS")
    assert "PROXY_CORS_ORIGINS" in refused.message


def test_any_origin_may_be_allowed() -> None:
    headers = dict(Cors(frozenset("*")).headers({"HTTP_ORIGIN": PAGE}))
    assert (headers[ALLOWED], headers.get("Vary")) == ("*", None)


def test_header_names_that_are_none_are_not_repeated() -> None:
    sent = {"HTTP_ORIGIN": PAGE, "HTTP_ACCESS_CONTROL_REQUEST_HEADERS": "a\tb; c"}
    answered = dict(Cors(frozenset({PAGE})).preflight(sent, ["GET"]))
    assert "authorization" in answered["Access-Control-Allow-Headers"]
    with pytest.raises(Forbidden):
        Cors(frozenset({PAGE})).preflight({}, ["GET"])
    with pytest.raises(MethodNotAllowed):
        Cors(frozenset()).preflight(sent, ["GET"])
