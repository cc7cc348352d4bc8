"""The form of a server-sent event, and neighbours joined."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowcast.errors import StreamCut
from rowcast.frontend.api.events import coalesced, server_sent, text_event, without_first


def test_a_server_sent_event_is_an_id_a_kind_and_json_on_one_line() -> None:
    assert (
        server_sent({"text": "a\nb é"}, place="3")
        == 'id: 3\ndata: {"text": "a\\nb é"}\n\n'.encode()
    )
    assert server_sent({"n": 1}, event="end") == b'event: end\ndata: {"n": 1}\n\n'


def test_neighbours_that_belong_together_are_joined() -> None:
    def join(first: str, second: str) -> str | None:
        return first + second if first[0] == second[0] else None

    assert list(coalesced(["a", "a", "a", "b", "a", "c", "c"], join)) == ["aaa", "b", "a", "cc"]
    assert list(coalesced([], join)) == []


@pytest.mark.slow
@given(st.text(max_size=30))
@settings(deadline=None, derandomize=True, max_examples=100)
def test_no_text_breaks_the_frame_of_its_event(text: str) -> None:
    lines = server_sent({"text": text}).split(b"\n")
    assert len(lines) == 3
    assert b"\r" not in lines[0]
    assert text_event(text, "7") == server_sent({"text": text}, place="7")


def test_a_body_without_its_first_bytes_is_cut_where_the_reader_has_more() -> None:
    chunks = [b"ab", b"cd"]
    assert list(without_first(iter(chunks), 0)) == chunks
    assert list(without_first(iter(chunks), 3)) == [b"", b"d"]
    with pytest.raises(StreamCut, match="1 bytes before"):
        list(without_first(iter(chunks), 5))
