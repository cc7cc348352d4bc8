"""The body: complete, on time, and one strict JSON object; otherwise an error that says where."""

import json
from collections.abc import Callable
from io import BytesIO
from typing import Any

import gevent
import pytest
from flask import Request
from gunicorn.http.errors import InvalidChunkSize
from hypothesis import given, settings
from hypothesis import strategies as st
from werkzeug.test import EnvironBuilder

from rowcast.errors import BodyTimeout, BodyTooLarge, MalformedRequest, RequestError
from rowcast.frontend.request.body import parse_object, read_body

BOUNDED = settings(deadline=None, derandomize=True, max_examples=200)


def malformed(body: bytes) -> str:
    with pytest.raises(MalformedRequest) as refusal:
        parse_object(body)
    message = str(refusal.value)
    assert message.startswith("Malformed JSON request body")
    message.encode()
    assert len(message) < 200
    return message


def test_an_object_is_read() -> None:
    assert parse_object(b'{"text": "a", "n": [1, null]}') == {"text": "a", "n": [1, None]}


def test_utf8_is_read_as_it_is() -> None:
    assert parse_object('{"text": "größer 😀"}'.encode()) == {"text": "größer 😀"}


def test_a_surrogate_pair_in_escapes_is_one_character() -> None:
    assert parse_object(rb'{"text": "\ud83d\ude00"}') == {"text": "😀"}


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b'{"text": "a",\n  temperature":"1"}', "line 2, column 3"),
        (b'{"text": "a",\n "stop_sequence": ".",\n}', "line 3, column 1"),
        (b'{"text" "a"}', "line 1, column 9"),
        (b'{"text": "a"} x', "line 1, column 15"),
        (b'{"text": "a', "line 1, column 10"),
        (b"{'text': 'a'}", "line 1, column 2"),
        ('{"é": "é" x}'.encode(), "line 1, column 11"),
    ],
)
def test_malformed_json_is_refused_with_line_and_column(body: bytes, where: str) -> None:
    assert malformed(body).endswith(f"at {where}")


@pytest.mark.parametrize("body", [b"", b" ", b"\r\n\t"])
def test_an_empty_body_is_called_empty(body: bytes) -> None:
    assert "it is empty" in malformed(body)


@pytest.mark.parametrize("body", [b"[]", b'"text"', b"1", b"null", b"true", b'[{"text": "a"}]'])
def test_json_that_is_no_object_is_refused(body: bytes) -> None:
    assert "expected an object" in malformed(body)


@pytest.mark.parametrize("body", [b'{"text": "a", "text": "b"}', b'{"a": {"text": 1, "text": 1}}'])
def test_a_name_that_appears_twice_is_refused(body: bytes) -> None:
    assert "'text' appears twice" in malformed(body)


def test_a_byte_order_mark_is_refused() -> None:
    assert "BOM" in malformed(b'\xef\xbb\xbf{"text": "a"}')


@pytest.mark.parametrize(
    ("body", "byte"),
    [(b'{"text": "\xff"}', 11), (b'{"text": "\xed\xa0\x80"}', 11), (b"\x80", 1)],
)
def test_bytes_that_are_no_utf8_are_refused_with_their_place(body: bytes, byte: int) -> None:
    assert malformed(body).endswith(f"byte {byte} is not UTF-8")


@pytest.mark.parametrize("encoding", ["utf-16", "utf-32"])
def test_another_unicode_is_refused(encoding: str) -> None:
    malformed('{"text": "a"}'.encode(encoding))


@pytest.mark.parametrize("opening", [b"[", b'{"a":'])
def test_deep_nesting_is_refused(opening: bytes) -> None:
    assert "nested too deeply" in malformed(opening * 100_000)


def test_a_number_of_endless_digits_is_refused() -> None:
    message = malformed(b'{"seed": ' + b"9" * 5000 + b"}")
    assert "sys." not in message


@pytest.mark.parametrize("body", [b'{"text": "a\nb"}', b'{"text": "\x00"}', b'{"text": "\\x"}'])
def test_control_characters_and_unknown_escapes_are_refused(body: bytes) -> None:
    malformed(body)


@pytest.mark.slow
@given(st.binary(max_size=60) | st.text('{}[]":,\\u0d8 1e\n', max_size=40).map(str.encode))
@BOUNDED
def test_any_bytes_are_an_object_or_refused(body: bytes) -> None:
    try:
        assert isinstance(parse_object(body), dict)
    except MalformedRequest as refusal:
        str(refusal).encode()


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(2**70), 2**70) | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=10,
)


@pytest.mark.slow
@given(st.dictionaries(st.text(), JSON, max_size=4), st.booleans())
@BOUNDED
def test_every_sound_object_is_read_as_it_was_meant(value: dict[str, Any], escaped: bool) -> None:
    assert parse_object(json.dumps(value, ensure_ascii=escaped).encode()) == value


class Stream:
    """A body as gunicorn provides it; calls `before` ahead of each part."""

    def __init__(self, body: bytes, before: Callable[[], object] = lambda: None) -> None:
        self._body = BytesIO(body)
        self._before = before

    def read(self, size: int = -1) -> bytes:
        self._before()
        return self._body.read(size)


def request(stream: Stream, length: int | None = None) -> Request:
    """Return a request as gunicorn passes it on: with a length, or chunked."""
    environ = EnvironBuilder(method="POST").get_environ()
    environ |= {"wsgi.input": stream, "wsgi.input_terminated": True}
    if length is not None:
        environ["CONTENT_LENGTH"] = str(length)
    return Request(environ)


def test_a_body_of_the_announced_length_is_read() -> None:
    assert parse_object(read_body(request(Stream(b'{"a": 1}'), 8), 100, 5)) == {"a": 1}


def test_a_body_in_chunks_needs_no_length() -> None:
    assert read_body(request(Stream(b"x" * 100)), 100, 5) == b"x" * 100


def test_a_body_that_was_cut_short_is_refused() -> None:
    with pytest.raises(MalformedRequest, match="ended after 3 bytes; its Content-Length is 10"):
        read_body(request(Stream(b"abc"), 10), 100, 5)


def test_a_body_announced_too_large_is_refused_unread() -> None:
    untouched = Stream(b"x" * 101, before=lambda: pytest.fail("it was read"))
    with pytest.raises(BodyTooLarge, match="has 101 bytes; the limit is 100"):
        read_body(request(untouched, 101), 100, 5)


def test_a_body_in_chunks_is_read_no_further_than_the_limit() -> None:
    with pytest.raises(BodyTooLarge, match="exceeds the limit of 100 bytes"):
        read_body(request(Stream(b"x" * 101)), 100, 5)


def test_a_body_that_does_not_come_in_time_is_refused() -> None:
    slow = Stream(b"x", before=lambda: gevent.sleep(30))
    with pytest.raises(BodyTimeout, match=r"within 0\.05 s"):
        read_body(request(slow, 1), 100, 0.05)


@pytest.mark.parametrize("size", [100, 101, 70_000, 200_000])
def test_a_body_in_chunks_is_read_whole_or_refused(size: int) -> None:
    body = b"x" * size
    assert read_body(request(Stream(body)), size, 5) == body
    with pytest.raises(BodyTooLarge):
        read_body(request(Stream(body)), size - 1, 5)


@pytest.mark.parametrize("fault", [InvalidChunkSize(b"zz"), ConnectionResetError(), OSError()])
def test_broken_chunks_are_the_caller_s_fault(fault: Exception) -> None:
    def fail() -> None:
        raise fault

    with pytest.raises(RequestError, match="chunked encoding"):
        read_body(request(Stream(b"", before=fail)), 100, 5)
