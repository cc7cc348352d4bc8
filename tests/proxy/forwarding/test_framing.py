"""Bodies are decoded whatever pieces the socket returns, and released without delay."""

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rowcast_proxy.forwarding.framing import BadFraming, ChunkedDecoder, Decoder, LengthDecoder

from ..fake_upstream import LAST_CHUNK, chunk


def cut_up(data: bytes, cuts: list[int]) -> list[bytes]:
    edges = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[a:b] for a, b in itertools.pairwise(edges)]


def decode(decoder: Decoder, pieces: list[bytes]) -> bytes:
    return b"".join(decoder.feed(piece) for piece in pieces)


@given(
    st.lists(st.binary(min_size=1, max_size=300), max_size=20),
    st.lists(st.integers(min_value=0)),
    st.sampled_from([LAST_CHUNK, b"0;last=1\r\nExpires: never\r\nA: b\r\n\r\n", b"000\r\n\r\n"]),
)
def test_chunked_bodies_survive_any_cut(body: list[bytes], cuts: list[int], end: bytes) -> None:
    decoder = ChunkedDecoder()
    encoded = b"".join(map(chunk, body)) + end
    assert decode(decoder, cut_up(encoded, cuts)) == b"".join(body)
    assert decoder.finished


@given(st.binary(max_size=500), st.lists(st.integers(min_value=0)))
def test_bodies_of_a_length_survive_any_cut(body: bytes, cuts: list[int]) -> None:
    decoder = LengthDecoder(len(body))
    assert decode(decoder, cut_up(body, cuts)) == body
    assert decoder.finished


@pytest.mark.slow
@given(st.binary(max_size=200))
def test_any_bytes_are_decoded_or_refused(data: bytes) -> None:
    decoder = ChunkedDecoder()
    try:
        assert len(decoder.feed(data)) <= len(data)
    except BadFraming:
        assert not decoder.finished


def test_all_chunks_that_have_arrived_leave_as_one_piece() -> None:
    decoder = ChunkedDecoder()
    assert decoder.feed(chunk(b"one") + chunk(b"two") + chunk(b"three")) == b"onetwothree"
    assert not decoder.finished


def test_part_of_a_chunk_is_not_held_back() -> None:
    decoder = ChunkedDecoder()
    assert decoder.feed(b"a\r\nhello") == b"hello"
    assert decoder.feed(b"world") == b"world"
    assert decoder.feed(b"\r") == b""
    assert decoder.feed(b"\n0\r\n\r\n") == b""
    assert decoder.finished


def test_nothing_is_finished_before_the_very_end() -> None:
    decoder = ChunkedDecoder()
    for byte in chunk(b"x") + LAST_CHUNK:
        assert not decoder.finished
        decoder.feed(bytes([byte]))
    assert decoder.finished


def test_an_empty_body_is_finished_at_once() -> None:
    assert LengthDecoder(0).finished


def test_bytes_after_the_end_are_dropped() -> None:
    chunked, length = ChunkedDecoder(), LengthDecoder(2)
    assert chunked.feed(chunk(b"x") + LAST_CHUNK + b"HTTP/1.1 200 OK\r\n\r\n") == b"x"
    assert length.feed(b"okHTTP/1.1 200 OK\r\n\r\n") == b"ok"
    assert chunked.finished
    assert length.finished


@pytest.mark.parametrize(
    "encoded",
    [
        b"x\r\n",
        b"\r\n",
        b"-1\r\n",
        b"+1\r\nx\r\n",
        b"0x1\r\nx\r\n",
        b"1_0\r\n",
        b" 1\r\nx\r\n",
        b"1\nx\r\n",
        b"123456789\r\n",
        b"2\r\nabc\r\n",
        b"2\r\nab\n\n",
        b"2\r\nab0\r\n\r\n",
        b"1" * 5000,
        b"1;" + b"x" * 5000 + b"\r\n",
        b"0\r\n" + (b"x: " + b"y" * 1000 + b"\r\n") * 20,
    ],
)
def test_malformed_chunks_are_refused(encoded: bytes) -> None:
    with pytest.raises(BadFraming):
        ChunkedDecoder().feed(encoded)
