"""A body is read whole, within size and time, and its bytes are charged to a share."""

from collections.abc import Callable
from io import BytesIO

import gevent
import pytest
from gunicorn.http.errors import InvalidChunkSize

from rowcast_http.body import BodyReader, HeldBody
from rowcast_http.budget import GRANTED, Budget


class Refused(Exception):
    """A refusal, with the name of its reason and the numbers that it got."""


class Errors:
    def too_large(self, limit: int, announced: int | None) -> Exception:
        return Refused("too large", limit, announced)

    def too_slow(self, seconds: float) -> Exception:
        return Refused("too slow", seconds)

    def cut_short(self, received: int, announced: int) -> Exception:
        return Refused("cut short", received, announced)

    def broken(self) -> Exception:
        return Refused("broken")

    def no_room(self) -> Exception:
        return Refused("no room")


class Stream:
    """A body as gunicorn provides it; calls `before` ahead of each part."""

    failed = False

    def __init__(self, body: bytes, before: Callable[[], object] = lambda: None) -> None:
        self._body = BytesIO(body)
        self._before = before

    def read(self, size: int) -> bytes:
        self._before()
        return self._body.read(size)


READER = BodyReader(limit=200_000, seconds=5, errors=Errors())


@pytest.mark.parametrize("size", [0, 1, 65_536, 70_000, 200_000])
def test_a_body_within_the_limit_is_read_whole(size: int) -> None:
    body = bytes(size)
    assert READER.read(Stream(body), size, None) == body
    assert READER.read(Stream(body), None, None) == body


def test_the_next_request_is_left_alone() -> None:
    stream = Stream(b"bodyGET /")
    assert READER.read(stream, 4, None) == b"body"
    assert stream.read(9) == b"GET /"


def test_a_body_announced_too_large_is_refused_unread() -> None:
    untouched = Stream(b"", before=lambda: pytest.fail("it was read"))
    with pytest.raises(Refused) as refused:
        READER.read(untouched, 200_001, None)
    assert refused.value.args == ("too large", 200_000, 200_001)


def test_a_body_in_chunks_is_read_no_further_than_the_limit() -> None:
    stream = Stream(bytes(300_000))
    with pytest.raises(Refused) as refused:
        READER.read(stream, None, None)
    assert refused.value.args == ("too large", 200_000, None)
    assert len(stream.read(300_000)) == 99_999


def test_a_body_cut_short_is_refused() -> None:
    with pytest.raises(Refused) as refused:
        READER.read(Stream(b"abc"), 10, None)
    assert refused.value.args == ("cut short", 3, 10)


@pytest.mark.parametrize("fault", [InvalidChunkSize(b"zz"), ConnectionResetError(), OSError()])
def test_broken_chunks_are_refused(fault: Exception) -> None:
    def fail() -> None:
        raise fault

    with pytest.raises(Refused, match="broken"):
        READER.read(Stream(b"", before=fail), None, None)


def test_a_body_that_does_not_come_in_time_is_refused() -> None:
    hasty = BodyReader(limit=9, seconds=0.05, errors=Errors())
    with pytest.raises(Refused, match="too slow"):
        hasty.read(Stream(b"x", before=lambda: gevent.sleep(30)), 1, None)


def test_bytes_are_charged_as_they_arrive() -> None:
    budget = Budget(10 * GRANTED)
    share = budget.share("red")
    READER.read(Stream(bytes(5 * GRANTED)), 5 * GRANTED, share)
    assert budget.held == 5 * GRANTED
    with pytest.raises(Refused, match="no room"):
        READER.read(Stream(bytes(2 * GRANTED)), None, budget.share("red"))
    share.release()
    READER.read(Stream(bytes(2 * GRANTED)), None, budget.share("red"))


def test_a_held_body_can_end_its_connection() -> None:
    ended: list[bool] = []
    body = HeldBody(Stream(b"abc"), Budget(9).share(""), lambda: ended.append(True))
    assert body.read(2) == b"ab"
    assert not body.failed
    body.end_connection()
    assert ended == [True]
