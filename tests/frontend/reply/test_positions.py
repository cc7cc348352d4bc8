"""Event ids: a position in a stream, independent of how its pieces were cut."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from urllib.parse import parse_qs

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowcast.errors import InvalidField
from rowcast.frontend.api.events import stage_of
from rowcast.frontend.reply.positions import Cursor, Mark, Position, Stage
from rowcast.frontend.reply.text import ReplyText
from rowcast.frontend.sessions.choice import Choice
from rowcast.sampling_params import SamplingParams
from rowcast.text.tokens.tokenizer import ScriptedTokenizer
from rowcast.wire import Accepted, Event, Finished, Submit, Tokens

ALPHABET = (*b"ab ", *"é".encode(), *"😀".encode(), 256, 257)  # bytes, parts of characters, words
STOPS = ["ab", "ba a", " b", "é", "aa"]

MARKS = st.builds(
    Mark,
    st.integers(1, 10**6),
    st.sampled_from([Stage.TEXT, Stage.REST, Stage.ENDED]),
    st.integers(0, 20),
) | st.sampled_from([Mark(), Mark(0, Stage.BEGUN), Mark(0, Stage.ENDED), Mark(0, Stage.BEGUN, 2)])


@pytest.mark.slow
@given(st.lists(MARKS, min_size=1, max_size=6), st.integers(1, 200), st.integers(-1, 3))
def test_a_position_is_read_as_it_was_written(marks: list[Mark], repeat: int, frame: int) -> None:
    position = Position((*marks, *[marks[-1]] * repeat), frame)
    assert Position.read(str(position), len(position.marks)) == position
    (sent,) = parse_qs(f"from={position}")["from"]
    assert sent == str(position)


def test_choices_in_step_make_short_ids() -> None:
    marks = [Mark(58, Stage.TEXT)] * 40 + [Mark(57, Stage.TEXT)] * 88
    assert str(Position(tuple(marks))) == "58*40.57*88"


@pytest.mark.parametrize(
    "text",
    [
        "x",
        "-1",
        "1x",
        "1.",
        ".1",
        "1.2",
        "1*2",
        "1*0",
        "1*99999",
        "1" * 10,
        "0~x",
        "0+0",
        " 1",
        "٣",
    ],
)
def test_what_is_no_position_is_refused(text: str) -> None:
    with pytest.raises(InvalidField, match="from"):
        Position.read(text, 1)


@pytest.mark.parametrize("text", ["", "0"])
def test_from_nothing_is_from_the_beginning_of_all_replies(text: str) -> None:
    assert Position.read(text, 3) == Position((Mark(),) * 3)


@dataclass
class Said:
    """The events of one reply as a dialect would make them: id and text."""

    events: list[tuple[str, str]] = field(default_factory=list)

    @property
    def text(self) -> str:
        return "".join(text for _, text in self.events)


def said(batches: Sequence[Sequence[Event]], stop: Sequence[str], start: str = "") -> Said:
    """Return what a client receives if these batches arrive one after another."""
    position = Position.read(start, 1)
    cursor, told = Cursor(position), Said()
    choice = Choice(Submit("s", 0, (1,), SamplingParams(max_tokens=99), seed=1))
    reply = ReplyText(
        choice,
        ScriptedTokenizer().decoder(),
        stop,
        lambda _: None,
        pause=position.marks[0].tokens,
    )
    if cursor.advance(0, 0, Stage.BEGUN):
        told.events.append((cursor.id(), "<"))
    for batch in batches:
        for event in batch:
            choice.offer(event)
        while events := reply.arrived():
            text = reply.read(events)
            if text and cursor.advance(0, reply.tokens, stage_of(reply)):
                told.events.append((cursor.id(), text))
    if cursor.advance(0, reply.tokens, Stage.ENDED):
        told.events.append((cursor.id(), ">"))
    return told


def cut(tokens: Sequence[int], cuts: Sequence[int], *, end_alone: bool) -> list[list[Event]]:
    """Return the tokens' events, in batches that end at `cuts`."""
    batches: list[list[Event]] = [[Accepted("s", 0)]]
    places = sorted({at for at in cuts if 0 < at < len(tokens)} | {0, len(tokens)})
    for begin, end in pairwise(places):
        batches.append([Tokens("s", 0, begin, tuple(tokens[begin:end]))])
    finished = Finished("s", 0, len(tokens), "length")
    if end_alone:
        batches.append([finished])
    else:
        batches[-1].append(finished)
    return batches


CUTS = st.lists(st.integers(0, 30), max_size=30)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    st.lists(st.sampled_from(ALPHABET), max_size=30),
    st.lists(st.sampled_from(STOPS), max_size=2),
    *(CUTS, CUTS, st.booleans(), st.booleans()),
)
def test_what_comes_after_any_event_is_the_same_however_the_pieces_were_cut(
    tokens: list[int],
    stop: list[str],
    first: list[int],
    again: list[int],
    end_alone: bool,
    end_alone_again: bool,
) -> None:
    whole = said(cut(tokens, first, end_alone=end_alone), stop)
    ids = [place for place, _ in whole.events]
    assert len(set(ids)) == len(ids)
    for number, place in enumerate(ids):
        rest = said(cut(tokens, again, end_alone=end_alone_again), stop, place)
        told = "".join(text for _, text in whole.events[: number + 1])
        assert told + rest.text == whole.text
        assert not {told for told, _ in rest.events} & set(ids[: number + 1])


@pytest.mark.parametrize("replies", [1, 2, 1024])
def test_the_id_of_an_event_is_the_place_of_all_replies(replies: int) -> None:
    """It is joined from texts that are made once for each mark."""
    cursor, marks = Cursor(Position.read("", replies)), [Mark()] * replies
    for step in range(60):
        at, tokens = step * 7 % replies, 1 + step // 20
        cursor.advance(at, tokens, Stage.TEXT)
        more = marks[at].more + 1 if marks[at].tokens == tokens else 0
        marks[at] = Mark(tokens, Stage.TEXT, more)
        assert cursor.id() == str(Position(tuple(marks)))
        assert Position.read(cursor.id(), replies).marks == tuple(marks)
    cursor.advance_frame()
    assert cursor.id().endswith("~0")


def test_a_cursor_counts_events_at_one_place() -> None:
    cursor = Cursor(Position.read("", 1))
    ids = [cursor.id() for _ in range(3) if cursor.advance(0, 5, Stage.ENDED)]
    assert ids == ["5e", "5e-1", "5e-2"]
    again = Cursor(Position.read("5e-1", 1))
    assert [again.advance(0, 5, Stage.ENDED) for _ in range(3)] == [False, False, True]


def test_a_cursor_knows_what_stands_after_all_replies() -> None:
    cursor = Cursor(Position.read("5e.4e", 2))
    assert [cursor.id() for _ in range(2) if cursor.advance_frame()] == ["5e.4e~0", "5e.4e~1"]
    again = Cursor(Position.read("5e.4e~0", 2))
    assert [again.advance_frame() for _ in range(2)] == [False, True]
