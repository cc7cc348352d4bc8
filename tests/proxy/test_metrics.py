"""The proxy's own metrics: for whom, and what they count."""

import contextlib
import time
from collections.abc import Iterator
from pathlib import Path

import gevent.socket
import pytest
from gunicorn.http.errors import InvalidResponseHeader

from exposed import OPEN_METRICS, Samples, read_open, samples
from processes import Running, until
from rowcast_proxy.app import ProxyApp
from rowcast_proxy.errors import Forbidden
from rowcast_proxy.forwarding.headers import caller_headers
from rowcast_proxy.metrics import FAMILIES
from rowcast_proxy.settings import ProxySettings
from rowcast_proxy.tokens import Caller

from .clients import SECRET, ask, bearer, raw_request, send_raw, token
from .conftest import running_proxy
from .fake_upstream import FakeUpstream

SCRAPER = {"Authorization": f"Bearer {token(metrics=True)}"}
ADMIN = {"Authorization": f"Bearer {token(admin=True)}"}


@pytest.fixture(scope="module")
def counting(
    one_upstream: FakeUpstream, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    folder: Path = tmp_path_factory.mktemp("counting")
    with running_proxy(folder, one_upstream.url, {"PROXY_WORKERS": "2"}) as process:
        yield process


def counted(proxy: Running) -> Samples:
    reply = ask(proxy.port, "GET", "/metrics/proxy", headers=SCRAPER)
    assert reply.status == 200
    return samples(reply.body.decode())


def await_ends(proxy: Running) -> None:
    """Wait until all requests have ended, except the one that asks: an end is counted after it."""
    until(lambda: counted(proxy)["rowcast_proxy_requests_open",] == 1, "all requests have ended")


@pytest.mark.parametrize("headers", [SCRAPER, ADMIN])
def test_a_scraper_and_an_administrator_may_read_them(
    counting: Running, upstream: FakeUpstream, headers: dict[str, str]
) -> None:
    reply = ask(counting.port, "GET", "/metrics/proxy", headers={**headers, **OPEN_METRICS})
    assert reply.status == 200
    assert reply.headers["Content-Type"].startswith("application/openmetrics-text")
    assert set(read_open(reply.body.decode())) == {f.name for f in FAMILIES}
    assert upstream.calls.empty()


@pytest.mark.parametrize("path", ["/metrics", "/metrics/proxy"])
def test_others_may_not(counting: Running, upstream: FakeUpstream, path: str) -> None:
    assert ask(counting.port, "GET", path).status == 401
    assert ask(counting.port, "GET", path, headers=bearer()).status == 403
    for claim in ("true", 1, [True], None):
        odd = {"Authorization": f"Bearer {token(metrics=claim)}"}
        assert ask(counting.port, "GET", path, headers=odd).status == 403
    assert upstream.calls.empty()


def test_the_servers_metrics_are_forwarded_with_the_claim(
    counting: Running, upstream: FakeUpstream
) -> None:
    assert ask(counting.port, "GET", "/metrics", headers={**SCRAPER, **OPEN_METRICS}).status == 200
    call = upstream.next_call()
    assert call.line == "GET /metrics HTTP/1.1"
    assert call.header("x-rowcast-scraper") == "true"


def test_a_scraper_is_named_with_the_shared_secret_alone() -> None:
    scraper = Caller("ops", None, scraper=True)
    assert ("x-rowcast-scraper", "true") in caller_headers(scraper, "shared")
    assert caller_headers(scraper, None) == [("x-rowcast-proxy", "1")]
    assert "x-rowcast-scraper" not in dict(caller_headers(Caller("ops", None), "shared"))
    with pytest.raises(Forbidden, match="metrics"):
        Caller("ops", None).check_scraper()


def test_requests_refusals_and_tokens_are_counted(
    counting: Running, upstream: FakeUpstream
) -> None:
    await_ends(counting)
    before = counted(counting)
    ask(counting.port, "GET", "/v1/models/blue", headers=bearer())
    ask(counting.port, "GET", "/v1/models")
    late = {"Authorization": f"Bearer {token(exp=int(time.time()) - 100)}"}
    ask(counting.port, "GET", "/v1/models", headers=late)
    ask(counting.port, "GET", "/v1/models", headers={"Authorization": "Bearer x"})
    ask(counting.port, "GET", "/nowhere", headers=bearer())
    send_raw(counting.port, raw_request("GET", "/health").replace(b"HTTP/1.1", b"HTTP/9.9"))
    expected = {
        ("rowcast_proxy_requests_total", "/v1/models/<id>", "2xx"): 1,
        ("rowcast_proxy_requests_total", "/v1/models", "4xx"): 3,
        ("rowcast_proxy_requests_total", "other", "4xx"): 1,
        ("rowcast_proxy_refusals_total", "unauthorized"): 3,
        ("rowcast_proxy_refusals_total", "not_found"): 1,
        ("rowcast_proxy_refusals_total", "protocol_error"): 1,
        ("rowcast_proxy_token_refusals_total", "missing"): 1,
        ("rowcast_proxy_token_refusals_total", "expired_signature"): 1,
        ("rowcast_proxy_token_refusals_total", "malformed"): 1,
        ("rowcast_proxy_upstream_seconds_count",): 1,
    }

    def more() -> Samples:
        after = counted(counting)
        return {key: after.get(key, 0) - before.get(key, 0) for key in expected}

    until(lambda: more() == expected, f"the counts are {expected}, not {more()}")
    await_ends(counting)
    until(lambda: counted(counting)["rowcast_proxy_worker_starts_total",] == 2, "both have started")


@pytest.mark.parametrize("error", [RuntimeError("broken"), InvalidResponseHeader("X-A"), OSError()])
def test_a_request_that_fails_unexpectedly_ends_too(
    error: Exception, caplog: pytest.LogCaptureFixture
) -> None:
    """Its exception goes on to the worker; it is counted, and has its line in the log."""
    app = ProxyApp(ProxySettings(jwt_secret=SECRET))

    def fail(_status: str, _headers: object) -> None:
        raise error

    caplog.set_level("INFO", "rowcast_proxy")
    with contextlib.closing(app), pytest.raises(type(error)):
        app(liveness(), fail)
    shown = samples(app.metrics.text("")[1].decode())
    assert shown["rowcast_proxy_requests_open",] == 0
    [(_, reason)] = [key for key in shown if key[0] == "rowcast_proxy_ends_total"]
    assert reason == ("upstream_broken" if isinstance(error, InvalidResponseHeader) else "failed")
    [line] = [
        each.getMessage() for each in caplog.records if "route=/liveness" in each.getMessage()
    ]
    assert f"reason={reason}" in line


def liveness() -> dict[str, object]:
    client, _ = gevent.socket.socketpair()
    return {
        "REQUEST_METHOD": "GET",
        "RAW_URI": "/liveness",
        "SERVER_PROTOCOL": "HTTP/1.1",
        "HTTP_HOST": "here",
        "gunicorn.socket": client,
        "wsgi.input": None,
    }


def test_no_team_token_or_path_of_a_caller_is_shown(
    counting: Running, upstream: FakeUpstream
) -> None:
    ask(counting.port, "GET", "/a-private-path", headers=bearer())
    ask(counting.port, "GET", "/v1/models/a-private-model", headers=bearer())
    text = ask(counting.port, "GET", "/metrics/proxy", headers=SCRAPER).body.decode()
    assert "private" not in text
    assert "blue" not in text


def test_a_killed_process_takes_no_counts_with_it(
    counting: Running, upstream: FakeUpstream
) -> None:
    for _ in range(4):
        ask(counting.port, "GET", "/v1/models", headers=bearer())
    key = ("rowcast_proxy_requests_total", "/v1/models", "2xx")
    until(lambda: counted(counting)[key] >= 4, "all are counted")
    before = counted(counting)[key]
    starts = ("rowcast_proxy_worker_starts_total",)
    began = counted(counting)[starts]
    workers = [each for each in counting.named("proxy.py") if each.ppid() == counting.process.pid]
    for each in workers:
        each.kill()
    until(counting.ready, "it answers again")
    until(lambda: counted(counting)[starts] == began + 2, "both were started again")
    assert counted(counting)[key] == before
