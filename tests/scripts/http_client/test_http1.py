"""The bench's HTTP reader: framings, every way of splitting them, and what it refuses."""

from __future__ import annotations

import pytest

from http_client.http1 import MAX_CHUNK, MAX_HEAD, MalformedResponseError, ResponseReader

CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
STREAM = CHUNKED + b"5\r\n bada\r\n6;a=b\r\n b\r\nuh\r\n0\r\nX-Sum: 1\r\n\r\n"


def read(*received: bytes) -> tuple[ResponseReader, list[bytes]]:
    reader = ResponseReader()
    return reader, [part for data in received for part in reader.feed(data)]


@pytest.mark.parametrize("cut", range(1, len(STREAM)))
def test_chunks_survive_any_cut(cut: int) -> None:
    reader, parts = read(STREAM[:cut], STREAM[cut:])
    assert parts == [b" bada", b" b\r\nuh"]
    assert reader.complete
    assert reader.keep_alive
    assert reader.close() is None


def test_chunks_survive_single_bytes() -> None:
    reader, parts = read(*(STREAM[at : at + 1] for at in range(len(STREAM))))
    assert parts == [b" bada", b" b\r\nuh"]
    assert reader.complete


@pytest.mark.parametrize("cut", range(len(CHUNKED), len(STREAM)))
def test_a_stream_without_its_last_chunk_is_cut(cut: int) -> None:
    reader, _ = read(STREAM[:cut])
    assert not reader.complete
    assert reader.close() == "cut before its end"


def test_counted_body() -> None:
    reader, parts = read(b"HTTP/1.1 503 Busy\r\nContent-Length: 4\r\n\r\nno", b"pe")
    assert (reader.status, reader.complete, b"".join(parts)) == (503, True, b"nope")


def test_counted_body_cut() -> None:
    reader, _ = read(b"HTTP/1.1 200 OK\r\nContent-Length: 4\r\n\r\nno")
    assert reader.close() == "cut before its end"


def test_body_ended_by_close() -> None:
    reader, parts = read(b"HTTP/1.0 200 OK\r\n\r\nab", b"c")
    assert (reader.complete, reader.close(), reader.complete) == (False, None, True)
    assert not reader.keep_alive
    assert b"".join(parts) == b"abc"


def test_interim_answers_are_passed_over() -> None:
    reader, _ = read(b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 204 No Content\r\n\r\n")
    assert (reader.status, reader.complete) == (204, True)


def test_close_is_heard() -> None:
    reader, _ = read(b"HTTP/1.1 200 OK\r\nConnection: Close\r\nContent-Length: 0\r\n\r\n")
    assert reader.complete
    assert not reader.keep_alive


def test_nothing_and_half_a_head() -> None:
    assert ResponseReader().close() == "closed without an answer"
    reader, _ = read(b"HTTP/1.1 200 OK\r\nX")
    assert reader.close() == "closed within the head"


@pytest.mark.parametrize(
    "received",
    [
        b"HTTP/2 200 OK\r\n\r\n",
        b"HTTP/1.1 20 OK\r\n\r\n",
        b"220 mail ready\r\n\r\n",
        b"HTTP/1.1 101 Switching\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA : b\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nA: b\r\n folded\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nContent-Length: 1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: +1\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: gzip, chunked\r\n\r\n",
        b"HTTP/1.0 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Length: 1\r\n\r\nab",
        b"HTTP/1.1 200 OK\r\nX: " + b"a" * MAX_HEAD,
        CHUNKED + b"0x5\r\n bada\r\n",
        CHUNKED + b"-5\r\n bada\r\n",
        CHUNKED + b"1_0\r\n bada\r\n",
        CHUNKED + b"\r\n",
        CHUNKED + b"5\n bada\n",
        CHUNKED + b"4\r\n bada\r\n",
        CHUNKED + b"5" * 2000,
        CHUNKED + b"%x\r\n" % (MAX_CHUNK + 1),
        STREAM + b"5\r\n bada\r\n",
    ],
)
def test_refused(received: bytes) -> None:
    with pytest.raises(MalformedResponseError):
        read(received)
