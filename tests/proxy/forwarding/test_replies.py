"""Response heads: what is accepted, and what is refused instead of guessed."""

import pytest

from rowcast_proxy.forwarding.framing import ChunkedDecoder
from rowcast_proxy.forwarding.replies import BadHead, parse_head


def test_a_chunked_answer() -> None:
    head = parse_head(
        b"HTTP/1.1 200 Fine by me\r\nContent-Type:text/plain\r\nTransfer-Encoding: Chunked"
    )
    assert head is not None
    assert (head.status, head.phrase) == (200, "Fine by me")
    assert head.headers == (("Content-Type", "text/plain"), ("Transfer-Encoding", "Chunked"))
    assert isinstance(head.decoder, ChunkedDecoder)


def test_an_answer_of_a_length() -> None:
    head = parse_head(b"HTTP/1.0 404 \r\nContent-Length: 2")
    assert head is not None
    assert head.decoder.feed(b"no") == b"no"
    assert head.decoder.finished


@pytest.mark.parametrize("status", [204, 304])
def test_answers_without_a_body(status: int) -> None:
    head = parse_head(f"HTTP/1.1 {status} x".encode())
    assert head is not None
    assert head.decoder.finished


@pytest.mark.parametrize("status", [100, 102, 103])
def test_interim_answers_are_passed_over(status: int) -> None:
    assert parse_head(f"HTTP/1.1 {status} wait".encode()) is None


@pytest.mark.parametrize(
    "block",
    [
        b"",
        b"garbage",
        b"HTTP/2 200 OK\r\nContent-Length: 0",
        b"HTTP/1.1 200OK\r\nContent-Length: 0",
        b"HTTP/1.1 99 low\r\nContent-Length: 0",
        b"HTTP/1.1 600 high\r\nContent-Length: 0",
        b"HTTP/1.1  200 OK\r\nContent-Length: 0",
        b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket",
        b"HTTP/1.1 200 O\x00K\r\nContent-Length: 0",
        b"HTTP/1.1 200 OK",
        b"HTTP/1.1 200 OK\r\nConnection: close",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 5",
        b"HTTP/1.1 200 OK\r\nContent-Length: 5, 5",
        b"HTTP/1.1 200 OK\r\nContent-Length: -5",
        b"HTTP/1.1 200 OK\r\nContent-Length: +5",
        b"HTTP/1.1 200 OK\r\nContent-Length: 0x5",
        b"HTTP/1.1 200 OK\r\nContent-Length: ",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\nTransfer-Encoding: chunked",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: identity",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked",
        b"HTTP/1.1 200 OK\r\nno colon\r\nContent-Length: 0",
        b"HTTP/1.1 200 OK\r\nbad name: x\r\nContent-Length: 0",
        b"HTTP/1.1 200 OK\r\nSpaced : x\r\nContent-Length: 0",
        b"HTTP/1.1 200 OK\r\nA: x\r\n folded\r\nContent-Length: 0",
        b"HTTP/1.1 200 OK\r\nA: x\nB: y\r\nContent-Length: 0",
        b"HTTP/1.1 200 OK\r\nA: x\x00\r\nContent-Length: 0",
    ],
)
def test_what_could_be_read_in_two_ways_is_refused(block: bytes) -> None:
    with pytest.raises(BadHead):
        parse_head(block)
