"""Sessions: each gets its own events, the backend's status is used, and nothing leaks.

Covers `demultiplexer`, `sessions/journal`.
"""

import logging

import msgspec
import pytest
from msgspec.structs import replace

from processes import until
from rowcast.errors import NotReady, Overloaded, PromptTooLong, Stopping
from rowcast.frontend.sessions import demultiplexer
from rowcast.frontend.sessions.choice import Choice, refusal
from rowcast.frontend.sessions.sessions import Sessions
from rowcast.wire import (
    LITTLE_ROOM,
    Accepted,
    Cancel,
    Finished,
    Rejected,
    RejectReason,
    Submit,
    TeamRoom,
    Tokens,
)

from .played import PATIENCE, PROMPT, STATUS, Road, events_of, road


def reason(made: Road) -> str:
    health = made.sessions.health()
    assert not health.ready
    return health.reason


def test_without_a_backend_nothing_is_ready() -> None:
    with road() as made:
        assert reason(made) == "no backend is connected"
        with pytest.raises(NotReady):
            made.open(PROMPT)


def test_a_backend_that_has_said_nothing_is_loading() -> None:
    with road() as made:
        made.begin(status=None)
        until(lambda: reason(made) == "loading", "the connection", PATIENCE)
        with pytest.raises(NotReady, match="loading"):
            made.open(PROMPT)


def test_a_backend_that_was_heard_is_ready() -> None:
    with road() as made:
        made.ready()
        assert made.sessions.health().status == STATUS


def test_a_backend_that_falls_silent_is_not_ready_until_it_is_heard_again() -> None:
    with road(silence_seconds=0.2) as made:
        backend = made.begin()
        until(lambda: "silent" in made.sessions.health().reason, "the silence", PATIENCE)
        with pytest.raises(NotReady, match="silent"):
            made.open(PROMPT)
        backend.say(STATUS)
        until(lambda: made.sessions.health().ready, "readiness", PATIENCE)


def test_a_full_backend_is_ready() -> None:
    with road() as made:
        made.begin(msgspec.structs.replace(STATUS, seated=32, waiting=5000))
        until(lambda: made.sessions.health().ready, "readiness", PATIENCE)


def test_a_stopping_backend_is_not_ready() -> None:
    with road() as made:
        backend = made.ready()
        backend.say(msgspec.structs.replace(STATUS, stopping=True))
        until(lambda: not made.sessions.health().ready, "the news", PATIENCE)
        assert reason(made) == "the backend is stopping"


def test_a_stopping_server_opens_no_session_but_goes_on_with_those_it_has() -> None:
    with road() as made:
        backend = made.ready()
        session = made.open(PROMPT)
        made.sessions.stop()
        assert reason(made) == "the server is stopping"
        with pytest.raises(Stopping):
            made.open(PROMPT)
        backend.say(Accepted(session.submit.session, 0))
        assert events_of(session, 1)


def test_a_session_has_a_fresh_name_and_its_prompt() -> None:
    with road() as made:
        backend = made.ready()
        first, second = made.open(PROMPT), made.open(PROMPT)
        assert first.submit.session != second.submit.session
        assert backend.commands(2) == [first.submit, second.submit]
        assert (first.submit.prompt, first.submit.seed) == (PROMPT.prompt, PROMPT.seed)


def test_choices_are_one_session_sent_in_one_batch_that_says_how_many_they_are() -> None:
    with road() as made:
        backend = made.ready()
        asked = [msgspec.structs.replace(PROMPT, choice=choice) for choice in range(3)]
        opened = made.open_all(asked)
        assert backend.commands(3) == [session.submit for session in opened]
        (name,) = {session.submit.session for session in opened}
        assert [session.submit.key for session in opened] == [(name, 0), (name, 1), (name, 2)]
        assert {session.submit.choices for session in opened} == {3}


def test_each_session_gets_its_own_events() -> None:
    with road() as made:
        backend = made.ready()
        sessions = [made.open(PROMPT) for _ in range(20)]
        for number, session in enumerate(sessions):
            backend.say_tokens(session, 0, number, number)
        for number, session in enumerate(sessions):
            assert events_of(session, 1) == [Tokens(session.submit.session, 0, 0, (number, number))]


def test_events_of_nobody_are_dropped() -> None:
    with road() as made:
        backend = made.ready()
        session = made.open(PROMPT)
        backend.say(Accepted("nobody", 0), Accepted(session.submit.session, 1))
        backend.say_tokens(session, 0, 5)
        assert events_of(session, 1) == [Tokens(session.submit.session, 0, 0, (5,))]


def test_closing_a_session_cancels_its_reply() -> None:
    with road() as made:
        backend = made.ready()
        session = made.open(PROMPT)
        backend.submitted()
        made.sessions.end_choice(session, "the client went away")
        assert backend.commands(1) == [Cancel(session.submit.session, 0)]
        assert events_of(session, 1) == [
            Finished(session.submit.session, 0, 0, "cancelled", "the client went away")
        ]
        assert len(made.sessions) == 0


def test_closing_a_session_twice_cancels_once() -> None:
    with road() as made:
        backend = made.ready()
        session = made.open(PROMPT)
        made.sessions.end_choice(session)
        made.sessions.end_choice(session)
        assert backend.commands(2) == [session.submit, Cancel(session.submit.session, 0)]


def test_a_reply_whose_reader_left_before_it_was_submitted_is_cancelled() -> None:
    with road() as made:
        backend = made.ready()
        left = Choice(replace(PROMPT, session="left"))
        made.sessions.end_choice(left)
        made.sessions.submit([left])
        assert backend.commands(2) == [left.submit, Cancel("left", 0)]
        assert len(made.sessions) == 0


def test_a_finished_reply_is_not_cancelled() -> None:
    with road() as made:
        backend = made.ready()
        session = made.open(PROMPT)
        backend.submitted()
        backend.say(Finished(session.submit.session, 0, 0, "stop"))
        events_of(session, 1)
        made.sessions.end_choice(session)
        assert backend.hears_nothing()
        assert len(made.sessions) == 0


def test_a_reply_with_a_lost_token_is_cancelled_when_it_is_closed() -> None:
    with road() as made:
        backend = made.ready()
        session = made.open(PROMPT)
        backend.submitted()
        backend.say_tokens(session, 5, 1)
        events_of(session, 1)
        made.sessions.end_choice(session)
        assert backend.commands(1) == [Cancel(session.submit.session, 0)]


def test_closing_a_session_without_a_backend_disturbs_nobody() -> None:
    with road() as made:
        made.ready()
        session = made.open(PROMPT)
        made.lose()
        made.sessions.end_choice(session)
        assert len(made.sessions) == 0


def test_a_prompt_that_cannot_be_sent_leaves_no_session() -> None:
    with road() as made:
        made.ready()
        made.break_off()
        with pytest.raises(NotReady):
            made.open(PROMPT)
        assert len(made.sessions) == 0


@pytest.mark.slow
def test_closing_ends_the_thread_whatever_it_waits_for() -> None:
    made = Road()
    made.sessions.start()
    made.ready()
    made.sessions.close()
    assert not made.sessions._demultiplexer._thread.is_alive()
    lonely = Sessions(made._connect, silence_seconds=1, recovery_seconds=1)
    lonely.start()
    lonely.close()
    assert not lonely._demultiplexer._thread.is_alive()


def test_an_event_that_cannot_be_delivered_ends_no_stream(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(logging.getLogger("rowcast.sessions"), "disabled", True)
    with road() as made:
        backend = made.ready()
        session = made.open(PROMPT)
        backend.say_tokens(session, 0, 7)
        backend.say(object())  # type: ignore[arg-type]  # the fault
        backend = made.begin()
        assert backend.submitted().delivered == (7,)


def test_what_the_backend_would_refuse_is_refused_before_it_is_sent() -> None:
    with road() as made:
        full = replace(STATUS, room=2, waiting=7, retry_after=9)
        backend = made.ready(full)
        opened = [made.open(PROMPT) for _ in range(2)]
        with pytest.raises(Overloaded, match="7 prompts are waiting") as refused:
            made.open(PROMPT)
        assert refused.value.retry_after == 9
        assert [submit.key for submit in backend.commands(2)] == [s.submit.key for s in opened]
        accepted = [Accepted(*session.submit.key) for session in opened]
        backend.say(*accepted, replace(full, room=1))
        until(lambda: opens(made), "room again", PATIENCE)


def test_what_the_backend_has_not_heard_of_takes_room_that_it_tells_of() -> None:
    with road() as made:
        backend = made.ready(replace(STATUS, room=2))
        session = made.open(PROMPT)
        backend.say(replace(STATUS, room=1, steps=1))  # before it has read what was sent
        until(lambda: told(made) == 1, "the news", PATIENCE)
        assert not opens(made)
        backend.say(Accepted(*session.submit.key), replace(STATUS, room=1, steps=2))
        until(lambda: opens(made), "room", PATIENCE)


def test_what_a_backend_never_spoke_of_takes_no_room_from_the_next_one() -> None:
    with road() as made:
        backend = made.ready(replace(STATUS, room=2))
        session = made.open(PROMPT)
        made.sessions.end_choice(session)
        backend.die()
        backend = made.ready(replace(STATUS, room=1))
        assert opens(made)


def test_the_limit_that_is_told_counts_the_places_that_are_still_free() -> None:
    with road() as made:
        made.ready(replace(STATUS, seated=31, room=5))
        for _ in range(5):
            made.open(PROMPT)
        with pytest.raises(Overloaded, match=r"^4 prompts are waiting, which is the limit"):
            made.open(PROMPT)


def test_while_changes_are_not_told_the_backend_decides() -> None:
    """Replies that have ended since may have left more room than the last status reported."""
    with road() as made:
        backend = made.ready(replace(STATUS, room=LITTLE_ROOM))
        opened = [made.open(PROMPT) for _ in range(LITTLE_ROOM + 1)]
        sent = backend.commands(len(opened))
        assert [submit.key for submit in sent] == [each.submit.key for each in opened]


def test_more_choices_than_there_is_room_for_are_told_how_many_would_be_taken() -> None:
    with road() as made:
        made.ready(replace(STATUS, room=2))
        with pytest.raises(Overloaded, match="room for 2 more replies; request fewer"):
            made.open_all([PROMPT] * 3)


def test_a_team_that_has_filled_its_part_leaves_the_others_their_room() -> None:
    with road() as made:
        status = replace(STATUS, room=2, waiting=9, team_rooms=(TeamRoom("busy", 0, 8),))
        backend = made.ready(status)
        with pytest.raises(Overloaded, match="8 prompts of your team are waiting"):
            made.open(replace(PROMPT, team="busy"))
        for _ in range(2):
            made.open(replace(PROMPT, team="other"))
        assert {submit.team for submit in backend.commands(2) if isinstance(submit, Submit)} == {
            "other"
        }
        with pytest.raises(Overloaded):
            made.open(replace(PROMPT, team="other"))
        made.open(replace(PROMPT, team="third"))


def told(made: Road) -> int:
    status = made.sessions.health().status
    return status.steps if status else 0


def opens(made: Road) -> bool:
    try:
        made.open(PROMPT)
    except Overloaded:
        return False
    return True


def test_a_reply_that_has_begun_needs_no_room() -> None:
    with road() as made:
        backend = made.ready(replace(STATUS, room=0))
        resumed = Choice(PROMPT)
        resumed.tokens = [5, 6]
        made.sessions.submit([resumed])
        assert backend.submitted().delivered == (5, 6)


KINDS: list[tuple[RejectReason, type[Exception]]] = [
    ("too_long", PromptTooLong),
    ("overloaded", Overloaded),
    ("stopping", Stopping),
]


@pytest.mark.parametrize(("why", "kind"), KINDS)
def test_each_rejection_has_its_error(why: RejectReason, kind: type[Exception]) -> None:
    error = refusal(Rejected("s", 0, why, "a sentence", 9))
    assert type(error) is kind
    assert str(error) == "a sentence"
    assert getattr(error, "retry_after", 9) == 9


@pytest.mark.parametrize("reads", [False, True])
def test_streams_get_turns_while_they_have_something_to_read(
    *, reads: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    turns: list[None] = []
    monkeypatch.setattr(demultiplexer, "rest", lambda: turns.append(None))
    with road() as made:
        backend = made.ready()
        choice = made.open(PROMPT)
        backend.say(Accepted(*choice.submit.key))
        choice.take(PATIENCE)
        for at in range(3 * demultiplexer.TURN):
            backend.say(Tokens(*choice.submit.key, at, (7,)))
            until(lambda at=at: len(choice.tokens) > at, "the token", PATIENCE)  # type: ignore[misc]
            if reads:
                choice.take(PATIENCE)
        until(lambda: len(turns) == (0 if reads else 2), "streams get turns", PATIENCE)
