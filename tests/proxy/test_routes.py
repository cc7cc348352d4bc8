"""The allow-list: only exact paths match, and only the table's paths are sent."""

import pytest

from rowcast_proxy.errors import MethodNotAllowed, NotFound
from rowcast_proxy.routes import ROUTES, Access, match


@pytest.mark.parametrize(
    ("method", "target", "path"),
    [
        ("GET", "/", "/"),
        ("POST", "/", "/"),
        ("POST", "/inference/falcon40b", "/inference/falcon40b"),
        ("POST", "/predictions/scripted", "/predictions/scripted"),
        ("POST", "/chat/my-model_v1.5", "/chat/my-model_v1.5"),
        ("GET", "/health?verbose=1", "/health"),
        ("POST", "/v1/chat/completions", "/v1/chat/completions"),
        ("POST", "/v1/completions", "/v1/completions"),
        ("GET", "/v1/models", "/v1/models"),
        ("GET", "/v1/models/scripted", "/v1/models/scripted"),
        ("GET", "/v1/models/facebook/opt-125m", "/v1/models/facebook/opt-125m"),
        ("GET", "/v1/models/facebook%2Fopt-125m", "/v1/models/facebook%2Fopt-125m"),
        ("GET", "/models/facebook/opt-125m?x=/health", "/models/facebook/opt-125m"),
        ("GET", "/v1/streams/019a2f?from=57", "/v1/streams/019a2f"),
        ("DELETE", "/v1/streams/019a2f", "/v1/streams/019a2f"),
        ("POST", "/v1/replay", "/v1/replay"),
        ("POST", "/tokenize", "/tokenize"),
        ("POST", "/chat/completions", "/chat/completions"),
        ("POST", "/completions", "/completions"),
        ("GET", "/models", "/models"),
        ("GET", "/models/scripted", "/models/scripted"),
        ("POST", "/models/load", "/models/load"),
        ("POST", "/models/unload?x=1", "/models/unload"),
        ("GET", "/models/load", "/models/load"),  # a model may be called "load"
        ("HEAD", "/liveness", "/liveness"),
        ("HEAD", "/v1/models", "/v1/models"),
        ("GET", "http://elsewhere.example/readiness", "/readiness"),
        ("GET", "HTTPS://elsewhere.example:8443", "/"),
        ("GET", "http://elsewhere.example?x=/health", "/"),
    ],
)
def test_known_paths_are_matched(method: str, target: str, path: str) -> None:
    assert match(method, target).path == path


@pytest.mark.parametrize(
    "target",
    [
        "//",
        "//health",
        "/health/",
        "/Health",
        "/health;x=1",
        "/health#top",
        "/health%20",
        "/%68ealth",
        "/inference",
        "/inference/",
        "/inference/a/b",
        "/inference/a%2fb",
        "/inference/../health",
        "/inference/..",
        "/inference/.",
        "/inference/%2e%2e",
        "/inference/..%2fadmin",
        "/inference/a\\b",
        "/inference/a;b",
        "/inference/a\n",
        "/inference/" + "a" * 129,
        "/./health",
        "/inference//scripted",
        "ftp://elsewhere.example/health",
        "http:///health",
        "*",
        "elsewhere.example:443",
        "/v1/streams",
        "/v1/streams/",
        "/v1/streams/x",
        "/v1/streams/a/b",
        "/v1/streams/../models",
        "/v1/models/",
        "/v1/models/a/",
        "/v1/models//a",
        "/v1/models/a//b",
        "/v1/models/a/../b",
        "/v1/models/a%2f..%2fb",
        "/v1/models/a%2e",
        "/v1/models/a/b/c/d/e",
        "/metrics/",
        "/metrics/server",
        "/admin",
        "/models/load/",
        "/models//load",
        "/models/load/../unload",
        "/models/%6coad/",
    ],
)
def test_everything_else_is_not_found(target: str) -> None:
    with pytest.raises(NotFound):
        match("POST", target)


@pytest.mark.parametrize(
    ("method", "target", "allowed"),
    [
        ("GET", "/inference/scripted", "POST"),
        ("POST", "/health", "GET, HEAD"),
        ("DELETE", "/", "GET, HEAD, POST"),
        ("HEAD", "/chat/scripted", "POST"),
        ("POST", "/v1/streams/019a2f", "GET, DELETE, HEAD"),
        ("post", "/chat/scripted", "POST"),
        ("DELETE", "/models/load", "GET, HEAD, POST"),
    ],
)
def test_a_wrong_method_is_told_the_right_ones(method: str, target: str, allowed: str) -> None:
    with pytest.raises(MethodNotAllowed) as caught:
        match(method, target)
    assert ("Allow", allowed) in caught.value.headers


def test_only_health_documents_and_the_page_are_open() -> None:
    free = {route.path for route in ROUTES if route.access in {Access.OPEN, Access.LOCAL}}
    health = {"/liveness", "/readiness", "/health", "/health_check"}
    assert free == health | {"/openapi.json", "/", "/static/<asset>", "/docs", "/redoc"}
