"""Clients that send a little at a time, forever: each part of a request has its deadline."""

from concurrent.futures import ThreadPoolExecutor

import pytest

from .case import CLOSED, GOOD_BODY, HOST, chunk, chunked, posted
from .target import GOOD_REPLY, Target

LATE = [408]
SLOW = {
    "request line": (b"GET /", b"a", [CLOSED]),
    "empty lines": (b"\r", b"\n\r", [400]),
    "header": (b"GET /liveness HTTP/1.1\r\n" + HOST + b"\r\nX-A: ", b"a", [CLOSED]),
    "headers": (b"GET /liveness HTTP/1.1\r\n" + HOST + b"\r\n", b"X-A: b\r\n", [CLOSED]),
    "body": (posted(b"", b"Content-Length: 100000"), b" ", LATE),
    "chunk size": (chunked(b""), b"0", LATE),
    "chunk extension": (chunked(b"5;a="), b"b", LATE),
    "chunk": (chunked(b"ffff\r\n"), b" ", LATE),
    "chunks": (chunked(b""), chunk(b" "), LATE),
    "trailers": (chunked(chunk(GOOD_BODY) + b"0\r\n"), b"X-A: b\r\n", LATE),
}


@pytest.mark.slow
def test_every_part_of_a_request_has_a_deadline(target: Target) -> None:
    with ThreadPoolExecutor(len(SLOW)) as pool:
        told = {
            name: pool.submit(target.try_slowly, raw, more) for name, (raw, more, _) in SLOW.items()
        }
    statuses = {
        name: [answer.status for answer in each.result()] or [CLOSED] for name, each in told.items()
    }
    assert statuses == {name: lawful for name, (_, _, lawful) in SLOW.items()}
    assert target.ask_well().body == GOOD_REPLY
