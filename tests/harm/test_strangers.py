"""Callers without a token or a right: what they can take from others, over real processes.

Named after the findings: H6 (memory by bodies and heads), M4 (a proxy without the shared secret),
M5 (a server that serves everyone on the host), M7 (idle connections).
"""

import contextlib
import json
import socket
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

import jwt
import pytest

from processes import Running, running_proxy, running_server, until
from raw_http import Answer, Client, ask, parse, request_bytes

pytestmark = pytest.mark.slow

JWT_SECRET = "a secret of these tests, which signs their tokens"
PROXY_SECRET = "a secret of these tests, which proxy and server share"
PATIENT = dict.fromkeys(
    ("BODY_SECONDS", "HEADER_SECONDS", "PROXY_BODY_TIMEOUT_S", "PROXY_KEEPALIVE_S"), "90"
)
BOTH = {"JWT_SECRET": JWT_SECRET, "PROXY_SECRET": PROXY_SECRET, **PATIENT}
MB = 1 << 20
PROMPT = {"text": "Hello", "max_tokens": 4, "seed": 1}


@dataclass(frozen=True)
class Stack:
    """A server, and a proxy in front of it."""

    server: Running
    proxy: Running


@contextlib.contextmanager
def stack(
    folder: Path, *, server: Mapping[str, str] = BOTH, proxy: Mapping[str, str] = BOTH
) -> Iterator[Stack]:
    with (
        running_server(folder, env=server) as upstream,
        running_proxy(folder, upstream, env={"JWT_SECRET": JWT_SECRET, **proxy}) as before,
    ):
        yield Stack(upstream, before)


def token(team: str) -> dict[str, str]:
    made = jwt.encode({"team_id": team, "token_id": "one"}, JWT_SECRET, algorithm="HS256")
    return {"Authorization": f"Bearer {made}"}


def post(port: int, team: str = "blue", **fields: object) -> Answer:
    return ask(port, request_bytes("/", PROMPT | fields, headers=token(team)))


def get(port: int, path: str, **headers: str) -> Answer:
    return ask(port, request_bytes(path, method="GET", headers=headers))


def memory(process: Running) -> int:
    """Return the bytes of a program that belong to it alone."""
    return sum(each.memory_full_info().uss for each in process.workers() or process.named("proxy"))


def grown(process: Running, before: int) -> float:
    """Return the growth in megabytes, once memory is stable."""
    sizes = [memory(process)]

    def rests() -> bool:
        sizes.append(memory(process))
        return sizes[-1] - sizes[-2] < MB

    until(rests, "it grows no more")
    return (max(sizes) - before) / MB


@contextlib.contextmanager
def many(port: int, count: int, *data: bytes) -> Iterator[list[Client]]:
    """Open connections that have each sent these bytes, as far as they were read."""
    clients = [Client(port) for _ in range(count)]
    for client in clients:
        client.socket.settimeout(5)
        with contextlib.suppress(OSError):
            for part in data:
                client.send(part)
    try:
        yield clients
    finally:
        for client in clients:
            client.leave()


def answer(client: Client) -> Answer | None:
    """Return the answer on a connection that may still be open; None if there is none."""
    client.socket.settimeout(1)
    with contextlib.suppress(OSError):
        while data := client.socket.recv(1 << 16):
            client.received += data
    return parse(client.received) if client.received else None


def test_h6_bodies_on_open_routes_are_not_held(tmp_path: Path) -> None:
    head = b"GET /health HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % MB
    with stack(tmp_path) as both:
        get(both.proxy.port, "/health")
        before = memory(both.proxy)
        with many(both.proxy.port, 100, head, bytes(MB - 1)) as strangers:
            assert grown(both.proxy, before) < 40
            told = [answer(each) for each in strangers]
        assert {each.status for each in told if each} == {200}
        assert all(each.headers["connection"] == "close" for each in told if each)
        assert post(both.proxy.port).status == 200


@pytest.mark.parametrize("where", ["proxy", "server"])
def test_h6_heads_without_an_end_are_not_held(tmp_path: Path, where: str) -> None:
    head = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
    lines = (b"X-A: " + b"a" * 8000 + b"\r\n") * 90
    with stack(tmp_path) as both:
        target: Running = getattr(both, where)
        get(target.port, "/health")
        before = memory(target)
        with many(target.port, 100, head, lines) as strangers:
            assert grown(target, before) < 30
            told = [answer(each) for each in strangers]
        assert {each.status for each in told if each} == {431}
        assert post(both.proxy.port).status == 200


@pytest.mark.parametrize("where", ["proxy", "server"])
def test_h6_heads_of_all_strangers_together_are_bounded(tmp_path: Path, where: str) -> None:
    """Each head is short enough; when their sum is too large, the longest is closed."""
    head = b"GET /health HTTP/1.1\r\nHost: localhost\r\n"
    lines = (b"X-A: " + b"a" * 8000 + b"\r\n") * 6
    limits = {"PROXY_HEADS_LIMIT": str(MB), "HEADS_BYTES": str(MB)}
    with stack(tmp_path, server=BOTH | limits, proxy=BOTH | limits) as both:
        target: Running = getattr(both, where)
        with many(target.port, 60, head, lines) as strangers:
            until(lambda: sum(_has_ended(each) for each in strangers) >= 35, "most have ended")
            assert get(target.port, "/health").status == 200
            assert sum(_has_ended(each) for each in strangers) < 50


def _has_ended(client: Client) -> bool:
    client.socket.setblocking(False)
    try:
        return not client.socket.recv(1, socket.MSG_PEEK)
    except BlockingIOError:
        return False
    except OSError:
        return True


@pytest.mark.parametrize("where", ["proxy", "server"])
def test_h6_one_team_s_bodies_are_bounded_and_others_pass(tmp_path: Path, where: str) -> None:
    limits = {"PROXY_BODIES_LIMIT": str(8 * MB), "BODIES_BYTES": str(8 * MB)}
    seen = {"X-Rowcast-Proxy-Secret": PROXY_SECRET, "X-Rowcast-Team": "red"}
    headers = {**token("red"), **seen, "Content-Length": str(MB)}
    head = request_bytes("/", headers=headers)
    with stack(tmp_path, server=BOTH | limits, proxy=BOTH | limits) as both:
        target: Running = getattr(both, where)
        post(both.proxy.port)
        before = memory(target)
        with many(target.port, 40, head, bytes(MB - 1)) as greedy:
            assert grown(target, before) < 25
            assert post(both.proxy.port).status == 200
            told = [each for each in map(answer, greedy) if each]
        assert len(told) > 30
        assert {(each.status, "retry-after" in each.headers) for each in told} == {(503, True)}
        assert all("bodies" in each.json()["message"] for each in told)
        until(lambda: post(both.proxy.port, "red", text="x" * MB).status == 400, "room again")


@pytest.mark.parametrize("where", ["proxy", "server"])
def test_m7_idle_connections_keep_nobody_out(tmp_path: Path, where: str) -> None:
    """Beyond the connection limit idle ones are closed; an active stream is not."""
    server = {"CONNECTIONS": "60", "STEP_SECONDS": "0.05"}
    proxy = {"PROXY_CONNECTIONS": "60"}
    slow = PROMPT | {"max_tokens": 40, "seed": 3, "stop_sequence": "zzz"}
    seen = {"X-Rowcast-Proxy-Secret": PROXY_SECRET}
    with stack(tmp_path, server=BOTH | server, proxy=BOTH | proxy) as both:
        target: Running = getattr(both, where)
        with Client(target.port) as stream:
            stream.send(request_bytes("/", slow, headers=token("red") | seen)).read_body()
            with many(target.port, 100) as idle:
                began = time.monotonic()
                assert get(target.port, "/health").status == 200
                assert time.monotonic() - began < 30  # idle ones would live for 90 s
                assert post(both.proxy.port).status == 200
                until(lambda: sum(map(_has_ended, idle)) >= 40, "the oldest have ended")
                assert not _has_ended(idle[-1])
            assert stream.finish().whole


def test_m7_one_address_has_its_own_limit(tmp_path: Path) -> None:
    limits = {"PROXY_CONNECTIONS_PER_ADDRESS": "20"}
    with stack(tmp_path, proxy=BOTH | limits) as both, many(both.proxy.port, 50) as idle:
        assert get(both.proxy.port, "/health").status == 200
        until(lambda: sum(map(_has_ended, idle)) >= 30, "the oldest have ended")
        assert not _has_ended(idle[-1])


def test_m7_health_is_answered_when_all_connections_are_busy(tmp_path: Path) -> None:
    server, proxy = {"STEP_SECONDS": "0.2"}, {"PROXY_CONNECTIONS": "4"}
    slow = PROMPT | {"max_tokens": 100, "seed": 3, "stop_sequence": "zzz"}
    with stack(tmp_path, server=BOTH | server, proxy=BOTH | proxy) as both:
        head = request_bytes("/", slow, headers=token("red"))
        with contextlib.ExitStack() as opened:
            streams = [opened.enter_context(Client(both.proxy.port)) for _ in "abcd"]
            for each in streams:
                each.send(head).read_headers()
            assert get(both.proxy.port, "/health").status == 200
            refused = post(both.proxy.port)
            assert (refused.status, "retry-after" in refused.headers) == (503, True)
            assert "limit of 4 open connections" in refused.json()["message"]
            assert not any(map(_has_ended, streams))


def test_m4_a_proxy_without_the_secret_gets_no_streams_kept(tmp_path: Path) -> None:
    journal = {"JOURNAL": str(tmp_path / "journal.db")}
    with stack(tmp_path, server=journal, proxy={}) as both:
        assert "keeps no streams" in both.proxy.output()
        first = post(both.proxy.port, "red", stream=True)
        assert (first.status, first.text != "") == (200, True)
        assert "x-stream-id" not in first.headers
        name = first.headers.get("x-stream-id", "0" * 24)
        for method in ("GET", "DELETE"):
            path, headers = f"/v1/streams/{name}", token("blue")
            refused = ask(both.proxy.port, request_bytes(path, method=method, headers=headers))
            assert refused.status == 403
            assert "PROXY_SECRET" in refused.json()["error"]["message"]
        keyed = token("red") | {"Idempotency-Key": "one"}
        again = [
            ask(both.proxy.port, request_bytes("/", {"text": "a"}, headers=keyed)) for _ in "ab"
        ]
        assert again[0].body == again[1].body
        assert all("x-stream-id" not in each.headers for each in again)
        direct = ask(both.server.port, request_bytes("/", PROMPT))
        assert "x-stream-id" in direct.headers


@pytest.mark.parametrize("theirs", [{}, {"PROXY_SECRET": "another secret than the server's"}])
def test_m4_secrets_that_differ_are_told(tmp_path: Path, theirs: Mapping[str, str]) -> None:
    with stack(tmp_path, proxy=theirs) as both:
        refused = post(both.proxy.port)
        assert refused.status == 502
        assert "set the same value for both" in refused.json()["message"]


def test_m5_with_the_secret_the_proxy_alone_is_served(tmp_path: Path) -> None:
    with stack(tmp_path) as both:
        port = both.server.port
        for raw in (
            request_bytes("/", PROMPT),
            request_bytes("/", PROMPT, headers={"X-Rowcast-Proxy-Secret": "guessed"}),
            request_bytes("/v1/models", method="GET"),
            request_bytes("/nowhere", method="GET"),
        ):
            refused = ask(port, raw)
            assert refused.status == 403
            assert "serves only its proxy" in json.dumps(refused.json())
        for path in ("/health", "/liveness", "/readiness", "/docs"):
            assert get(port, path).status == 200
        assert post(both.proxy.port).status == 200
        assert get(both.proxy.port, "/openapi.json").status == 200


def test_m5_without_it_only_local_names_and_pages_are_served(tmp_path: Path) -> None:
    with running_server(tmp_path, env={"ALLOWED_HOSTS": "box.example"}) as server:

        def status(host: str, **headers: str) -> int:
            raw = request_bytes("/", PROMPT, headers=headers)
            return ask(
                server.port, raw.replace(b"Host: localhost", f"Host: {host}".encode())
            ).status

        for host in ("localhost:7000", "127.0.0.1", "127.8.8.8:1", "[::1]:7000", "a.localhost"):
            assert status(host) == 200
        assert status("Box.example:80") == 200
        for host in ("evil.example", "localhost.evil.example", "192.0.2.7", "[2001:db8::1]"):
            assert status(host) == 403
        for origin in ("http://localhost:3000", "https://box.example"):
            assert status("localhost", Origin=origin) == 200
        for origin in ("https://evil.example", "null", "http://192.0.2.7", "junk"):
            assert status("localhost", Origin=origin) == 403


def test_m5_exposure_without_the_secret_is_warned_about(tmp_path: Path) -> None:
    with running_server(tmp_path, env={"HOST": "0.0.0.0"}) as server:
        assert "PROXY_SECRET is not set: anyone who can reach this port" in server.output()


def test_l_clients_that_leave_a_json_answer_are_no_errors(tmp_path: Path) -> None:
    slow = PROMPT | {"max_tokens": 2000, "stop_sequence": "zzz", "stream": False}
    with stack(tmp_path, server=BOTH | {"STEP_SECONDS": "0.05"}) as both:
        for leave in (Client.leave, Client.abort, Client.half_close):
            client = Client(both.proxy.port).send(request_bytes("/", slow, headers=token("red")))
            until(lambda: both.server.rows_seated() == 1, "it is computed")
            leave(client)
            until(lambda: both.server.rows_seated() == 0, "its row is free")
        until(lambda: both.server.output().count("reason=client_gone") == 3, "three lines")
        assert both.proxy.output().count("reason=client_gone") == 3
        for output in (both.server.output(), both.proxy.output()):
            assert "ERROR" not in output
            assert "Traceback" not in output
