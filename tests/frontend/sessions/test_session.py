"""One session: what is written of it, once and in order, whichever threads take and add to it."""

import pytest

from rowcast import wire
from rowcast.frontend.request.identity import Caller
from rowcast.frontend.request.origin import Origin
from rowcast.frontend.sessions.session import MOST_JOINED, Place, Session, decoded, encoded
from rowcast.frontend.sessions.sessions import Sessions
from rowcast.sampling_params import SamplingParams
from rowcast.transport.memory import MemoryTransport
from rowcast.wire import Accepted, Event, Finished, Submit, Tokens

from ..threads import at_once

PARAMS = SamplingParams(max_tokens=4000)
HOME = Sessions(MemoryTransport().connect, silence_seconds=1, recovery_seconds=1)


def session_of(*counts: int) -> Session:
    """Return a session with so many choices of each prompt."""
    prompts = [
        [Submit("", choice, (1, 2), PARAMS, seed=1) for choice in range(count)] for count in counts
    ]
    return Session(Origin.fresh("/", b"", None, ""), Caller(), "", prompts, HOME)


def offer(session: Session, at: int, index: int, *tokens: int) -> None:
    choice = session.choices[at]
    choice.offer(Tokens(*choice.submit.key, index, tokens))


def finish(session: Session, at: int) -> None:
    choice = session.choices[at]
    choice.offer(Finished(*choice.submit.key, len(choice.tokens), "stop"))


def test_the_choices_of_a_prompt_share_a_name_and_those_of_a_request_are_numbered() -> None:
    session = session_of(2, 1)
    first, second, third = (choice.submit for choice in session.choices)
    assert first.session == second.session != third.session
    assert [(each.choice, each.choices) for each in (first, second, third)] == [
        (0, 2),
        (1, 2),
        (0, 1),
    ]
    assert [choice.at for choice in session.choices] == [0, 1, 2]


def test_the_digest_of_a_request_is_the_one_in_journals_that_are_in_use() -> None:
    digest = "b057fc1fa25a5cb527933c16f0eacbc48b4037f1c113ef3c5d6134af4e3aba42"
    assert session_of(2, 1).digest().hex() == digest


@pytest.mark.parametrize("place", Place)
def test_it_has_a_name_wherever_it_can_be_resumed(place: Place) -> None:
    session = session_of(1)
    session.place = place
    assert session.name == ("" if place in {Place.UNKEPT, Place.FRESH} else session.id)


def test_nothing_is_written_of_a_session_that_is_not_recorded() -> None:
    session = session_of(1)
    offer(session, 0, 0, 5)
    assert session.take() == []
    session.record()
    offer(session, 0, 1, 6)
    assert session.take() == [Tokens("", 0, 1, (6,))]
    session.stop_recording()
    offer(session, 0, 2, 7)
    assert session.take() == []


def test_consecutive_tokens_are_written_as_one_event() -> None:
    session = session_of(2)
    session.record()
    for index in range(3):
        offer(session, 0, index, index)
        offer(session, 1, index, index)
    finish(session, 1)
    assert session.take() == [
        Tokens("", 0, 0, (0, 1, 2)),
        Tokens("", 1, 0, (0, 1, 2)),
        Finished("", 1, 3, "stop"),
    ]
    assert session.take() == []


def test_no_event_has_so_many_tokens_that_reading_it_takes_long() -> None:
    session = session_of(1)
    session.record()
    for index in range(0, 3 * MOST_JOINED, 8):
        offer(session, 0, index, *range(index, index + 8))
    written = session.take()
    assert [len(each.tokens) for each in written if isinstance(each, Tokens)] == [MOST_JOINED] * 3
    read = session_of(1)
    read.know(decoded([encoded(written)]))
    assert read.choices[0].tokens == list(range(3 * MOST_JOINED))


def test_a_batch_is_read_one_event_at_a_time() -> None:
    """Reading one with 16 choices and 20 alternatives of each token takes 20 to 50 ms."""
    session = session_of(1)
    events = decoded([wire.encode([Tokens("", 0, 0, (5,)), Tokens("", 0, 1, (6,))])])
    session.know([next(events)])
    assert session.choices[0].tokens == [5]
    session.know(events)
    assert session.choices[0].tokens == [5, 6]


def test_what_could_not_be_written_is_taken_again_first() -> None:
    session = session_of(1)
    session.record()
    offer(session, 0, 0, 5)
    events = session.take()
    offer(session, 0, 1, 6)
    session.put_back(events)
    assert session.take() == [Tokens("", 0, 0, (5, 6))]


def test_what_was_written_brings_another_session_to_the_same_state() -> None:
    written, read = session_of(2), session_of(2)
    written.record()
    offer(written, 0, 0, 5, 6)
    finish(written, 0)
    offer(written, 1, 0, 7)
    read.know(decoded([encoded(written.take())] * 2))
    assert [choice.tokens for choice in read.choices] == [[5, 6], [7]]
    assert read.unfinished == [read.choices[1]]
    read.accept()
    assert [isinstance(event, Accepted) for event in read.choices[1].drain()] == [False, True]


def test_a_damaged_batch_ends_what_is_known() -> None:
    session = session_of(1)
    session.know(decoded([wire.encode([Tokens("", 0, 0, (5,))]), b"\xff", b""]))
    assert session.choices[0].tokens == [5]


def test_an_end_that_only_its_text_knows_is_written_once() -> None:
    session = session_of(2)
    session.record()
    offer(session, 0, 0, 5, 6)
    end = Finished(*session.choices[0].submit.key, 1, "stop")
    assert not session.left(session.choices[0], end)
    finish(session, 0)
    assert session.left(session.choices[1], None)
    assert session.take() == [Tokens("", 0, 0, (5, 6)), Finished("", 0, 1, "stop")]
    assert not session.complete


# With real threads, not those of gevent, which change places only where they wait.

COUNT = 300


def tokens_of(events: list[Event]) -> list[int]:
    return [token for event in events if isinstance(event, Tokens) for token in event.tokens]


@pytest.mark.slow
@pytest.mark.usefixtures("hectic")
def test_each_event_is_taken_once_by_whichever_thread() -> None:
    for _ in range(40):
        session = session_of(2)
        session.record()
        taken: list[list[Event]] = []

        def compute(session: Session = session) -> None:
            for index in range(COUNT):
                offer(session, 0, index, index)
                offer(session, 1, index, COUNT + index)

        def write(session: Session = session, taken: list[list[Event]] = taken) -> None:
            taken.extend(session.take() for _ in range(COUNT))

        def leave(session: Session = session) -> None:
            for choice in session.choices:
                session.left(choice, None)

        at_once(compute, write, write, leave)
        taken.append(session.take())
        assert sorted(tokens_of([each for some in taken for each in some])) == [*range(2 * COUNT)]


@pytest.mark.slow
@pytest.mark.usefixtures("hectic")
def test_nothing_follows_a_choice_s_one_end_whichever_threads_end_it() -> None:
    for _ in range(300):
        session = session_of(1)
        choice = session.choices[0]

        def compute(session: Session = session) -> None:
            for index in range(30):
                offer(session, 0, index, index)

        at_once(
            compute,
            lambda choice=choice: choice.end("cancelled", "the client went away"),  # type: ignore[misc]
            lambda choice=choice: choice.end("deadline", "too late"),  # type: ignore[misc]
        )
        *events, end = choice.drain()
        assert isinstance(end, Finished)
        assert end.length == len(tokens_of(events)) == len(events) == len(choice.tokens)
