"""The error tree: one status each, and texts for people.

Covers `rowcast/errors`.
"""

import errno

import pytest

from rowcast import errors

STATUSES: list[tuple[errors.RowcastError, int]] = [
    (errors.MalformedRequest("…"), 400),
    (errors.InvalidField("top_k", "is odd"), 400),
    (errors.PromptTooLong("…"), 400),
    (errors.UnknownModel("…"), 404),
    (errors.BodyTimeout("…"), 408),
    (errors.BodyTooLarge("…"), 413),
    (errors.Overloaded("…"), 503),
    (errors.NotReady("…"), 503),
    (errors.Stopping("…"), 503),
    (errors.ReplyFailed("…"), 500),
]


@pytest.mark.parametrize(("error", "status"), STATUSES)
def test_each_error_has_its_status(error: errors.RowcastError, status: int) -> None:
    assert error.status == status


def test_every_fault_of_a_caller_is_a_4xx() -> None:
    kinds: list[type[errors.RequestError]] = errors.RequestError.__subclasses__()
    assert len(kinds) > 5
    assert all(400 <= kind.status < 500 for kind in kinds)


def test_a_wrong_field_is_named_in_the_text() -> None:
    error = errors.InvalidField("top_k", "is 0; send a whole number from 1 to 1000")
    assert (error.field, str(error)) == (
        "top_k",
        "top_k is 0; send a whole number from 1 to 1000",
    )


def test_what_is_unavailable_says_when_to_come_back() -> None:
    assert errors.Overloaded("full", 7).retry_after == 7
    assert errors.NotReady("loading").retry_after >= 1


def test_a_cut_stream_is_a_broken_pipe_to_the_http_server() -> None:
    cut = errors.StreamCut("the reply failed")
    assert isinstance(cut, OSError)
    assert cut.errno == errno.EPIPE
    assert "the reply failed" in str(cut)
