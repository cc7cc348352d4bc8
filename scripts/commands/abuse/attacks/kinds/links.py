"""Connections: slow, idle, unfinished, many, pipelined; finished streams and their readers."""

from __future__ import annotations

from commands.abuse.attacks.draw import Draw
from commands.abuse.attacks.kind import Kind, Shots, with_needs
from commands.abuse.attacks.shot import COMPLETIONS, STREAM, Shot

_SIZE = 4 * 1024 * 1024


def _open_bodies(draw: Draw) -> Shots:
    """Send bodies, except their last byte, to routes that take none."""
    path = str(draw.one_of("/health", "/readiness", "/docs", "/openapi.json"))
    body = b" " * (_SIZE - 1)
    return Shot(path=path, body=body, method="GET", missing=1, copies=150, hold=20.0, stranger=True)


def _idle(draw: Draw) -> Shots:
    return Shot(raw=b"", copies=min(draw.about(4_100), 7_500), hold=30.0, stranger=True)


def _heads(draw: Draw) -> Shots:
    """Send heads one byte at a time."""
    raw = b"GET /health HTTP/1.1\r\nHost: localhost\r\nX-A: " + b"a" * 200
    return Shot(raw=raw, copies=draw.about(500), drip=0.2, leave=25.0, stranger=True)


def _bodies(draw: Draw) -> Shots:
    """Send bodies one byte at a time, with a token."""
    body = draw.completion()
    return Shot.of(body, copies=draw.about(500), drip=0.2, leave=25.0)


def _unfinished(draw: Draw) -> Shots:
    shot = Shot.of(draw.completion(), copies=draw.about(300), missing=_SIZE - 1000, hold=20.0)
    large = Shot(body=b" " * (_SIZE - 1), missing=1, copies=draw.about(60), hold=20.0)
    return (shot, large)


def _pipelined(draw: Draw) -> Shots:
    path = str(draw.one_of("/health", "/v1/models", "/liveness", "/openapi.json"))
    times = draw.about(2_000)
    return Shot(path=path, method="GET", times=times, copies=draw.about(8))


def _pipelined_prompts(draw: Draw) -> Shots:
    body = draw.completion(max_tokens=1)
    return Shot.of(body, times=draw.about(200), copies=draw.about(8))


def _storm(draw: Draw) -> Shots:
    """Open connections with one request each, as fast as possible."""
    path = str(draw.one_of("/v1/models", "/health", "/nothing", "/v1/streams/0123"))
    return Shot(path=path, method="GET", copies=draw.about(4_000), width=64)


def _refused(draw: Draw) -> Shots:
    """Send requests without a token."""
    body = draw.completion()
    return Shot.of(body, copies=draw.about(4_000), width=64, stranger=True)


def _documents(draw: Draw) -> Shots:
    path = str(draw.one_of("/openapi.json", "/docs", "/redoc"))
    return Shot(path=path, method="GET", copies=draw.about(500), width=32, stranger=True)


def _headers(draw: Draw) -> Shots:
    count = draw.about(90)
    headers = tuple((f"X-H{at}", "v" * draw.about(80)) for at in range(count))
    return Shot(path="/v1/models", method="GET", headers=headers, copies=400, width=32)


def _followers(draw: Draw) -> Shots:
    body = draw.completion(n=16, max_tokens=min(200, draw.room), logprobs=20, stream=True)
    return Shot.of(
        body, headers=(("Idempotency-Key", f"k{draw.dice.random()}"),), copies=draw.about(150)
    )


def _follower_answers(draw: Draw) -> Shots:
    body = draw.completion(n=16, max_tokens=min(200, draw.room), logprobs=20)
    return Shot.of(
        body, headers=(("Idempotency-Key", f"k{draw.dice.random()}"),), copies=draw.about(150)
    )


def _opened(draw: Draw) -> Shot:
    body = draw.completion(n=4, max_tokens=draw.room, logprobs=5, stream=True, ignore_eos=True)
    return Shot.of(body)


def _resumed(draw: Draw) -> Shots:
    """Resume a finished stream at many positions at once."""
    places = [draw.one_of(0, draw.dice.randrange(draw.room), "1.1.1.1", "") for _ in range(100)]
    return [
        Shot(path=f"/v1/streams/{STREAM}?from={place}", method="GET", copies=draw.about(3))
        for place in places
    ]


def _resumed_raw(draw: Draw) -> Shots:
    path = f"/v1/streams/{STREAM}?from={draw.one_of(0, 99, 999_999_999_999)}"
    return Shot(path=path, method="GET", copies=draw.about(200), width=16)


def _opened_raw(draw: Draw) -> Shot:
    return Shot.of({"text": "Once", "max_tokens": draw.room}, f"/inference/{draw.facts.model}")


def _cancelled(draw: Draw) -> Shots:
    return [
        Shot(path=f"/v1/streams/{draw.dice.getrandbits(128):x}", method="DELETE", copies=20)
        for _ in range(draw.about(100))
    ]


def _keys(draw: Draw) -> Shots:
    """Use a new idempotency key for each request."""
    return [
        Shot.of(
            draw.completion(max_tokens=1), COMPLETIONS, headers=(("Idempotency-Key", f"k{at}"),)
        )
        for at in range(draw.about(500))
    ]


def _deadlines(draw: Draw) -> Shots:
    """Set deadlines that expire at once, while the prompt waits or is fed."""
    body = draw.completion(n=16, max_tokens=draw.room, timeout=draw.one_of(0.001, 0.01, 0.2))
    return Shot.of(body, copies=draw.about(200), width=32)


KINDS = (
    with_needs(Kind("h6-open-bodies", "bodies for open routes", _open_bodies), front=True),
    with_needs(Kind("m7-idle", "4,100 idle connections without a token", _idle), front=True),
    Kind("m1-followers", "150 followers of one key", _followers),
    Kind("m1-follower-answers", "150 followers of one key, without a stream", _follower_answers),
    Kind("heads-slow", "heads sent a byte at a time", _heads),
    Kind("bodies-slow", "bodies sent a byte at a time", _bodies),
    Kind("bodies-unfinished", "bodies that never end", _unfinished),
    Kind("pipelined", "thousands of requests on a connection", _pipelined),
    Kind("pipelined-prompts", "prompts on one connection", _pipelined_prompts),
    Kind("storm", "connections with one request each", _storm),
    Kind("strangers", "thousands of requests without a token", _refused),
    Kind("documents", "the API documents, hundreds of times", _documents),
    Kind("headers", "many headers", _headers),
    Kind("resumed", "a finished stream, resumed at every position", _resumed, _opened),
    Kind(
        "resumed-raw", "a finished raw stream, resumed at every position", _resumed_raw, _opened_raw
    ),
    Kind("cancelled", "streams that do not exist, cancelled", _cancelled),
    Kind("keys", "hundreds of idempotency keys", _keys),
    Kind("deadlines", "deadlines that expire at once", _deadlines),
)
