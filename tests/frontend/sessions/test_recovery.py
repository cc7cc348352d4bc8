"""A backend dies under open sessions: they continue on the next one, with the same replies.

Covers `demultiplexer`.
"""

from collections.abc import Sequence

import pytest
from msgspec.structs import replace

from backend.driven import RecordedEngine
from engine.rule import prompt_logprobs
from engine.rule import reply as expected
from processes import until
from rowcast.backend.decode_backend import DecodeBackend
from rowcast.engine.engine import Drawn, Feed, Seating
from rowcast.errors import PeerGone
from rowcast.frontend.sessions.choice import DEATHS, KILLED, Choice
from rowcast.frontend.sessions.sessions import Sessions
from rowcast.sampling_params import SamplingParams
from rowcast.transport.memory import MemoryFrontendPort, MemoryTransport
from rowcast.wire import (
    Accepted,
    Event,
    Finished,
    Rejected,
    Scored,
    Seated,
    Status,
    Submit,
    Tokens,
)

from .played import PATIENCE, PROMPT, STATUS, Backend, Road, events_of, open_choices, road


def test_open_sessions_are_submitted_to_the_next_backend_with_their_tokens() -> None:
    with road() as made:
        backend = made.ready()
        sessions = [made.open(PROMPT) for _ in range(3)]
        backend.say_tokens(sessions[0], 0, 5, 6)
        events_of(sessions[0], 1)
        again = made.begin().commands(3)
        assert again == [session.resubmission() for session in sessions]
        assert [submit.delivered for submit in again if isinstance(submit, Submit)] == [
            (5, 6),
            (),
            (),
        ]


def test_what_the_next_backend_repeats_is_not_told_again() -> None:
    with road() as made:
        backend = made.ready()
        session = made.open(PROMPT)
        name = session.submit.session
        backend.say(Accepted(name, 0), Tokens(name, 0, 0, (5, 6)))
        backend = made.begin()
        backend.say(Accepted(name, 0), Tokens(name, 0, 0, (5, 6, 7)), Finished(name, 0, 3, "stop"))
        assert events_of(session, 4) == [
            Accepted(name, 0),
            Tokens(name, 0, 0, (5, 6)),
            Tokens(name, 0, 2, (7,)),
            Finished(name, 0, 3, "stop"),
        ]


def test_ended_and_closed_sessions_are_not_submitted_again() -> None:
    with road() as made:
        backend = made.ready()
        ended, closed, going = (made.open(PROMPT) for _ in range(3))
        backend.say(Finished(ended.submit.session, 0, 0, "stop"))
        events_of(ended, 1)
        made.sessions.end_choice(closed)
        assert made.begin().submitted().session == going.submit.session


def lose_seated(made: Road, backend: Backend, choice: Choice, status: Status = STATUS) -> Backend:
    """Kill the backend while the choice has a row; return the next backend."""
    backend.say(Seated(choice.submit.session, 0))
    until(lambda: choice.seated, "the choice hears of its row", PATIENCE)
    made.lose()
    return made.ready(status)


def test_a_reply_under_which_backends_keep_dying_ends_with_an_error() -> None:
    with road() as made:
        backend = made.ready()
        session = made.open(PROMPT)
        for deaths in range(1, DEATHS):
            backend = lose_seated(made, backend, session)
            again = backend.submitted()
            assert (again.key, again.deaths) == (session.submit.key, deaths)
        backend = lose_seated(made, backend, session)
        (end,) = events_of(session, 1)
        assert isinstance(end, Finished)
        assert (end.reason, end.length) == ("error", 0)
        assert f"{DEATHS} backends ended" in end.message
        assert backend.hears_nothing()


@pytest.mark.slow
def test_backends_that_were_killed_from_outside_count_little() -> None:
    killed = replace(STATUS, replaces_killed=True)
    with road() as made:
        backend = made.ready()
        session = made.open(PROMPT)
        limit = round(DEATHS / KILLED)
        for losses in range(1, limit):
            backend = lose_seated(made, backend, session, killed)
            assert backend.submitted().deaths == int(losses * KILLED)
        lose_seated(made, backend, session, killed)
        (end,) = events_of(session, 1)
        assert isinstance(end, Finished)
        assert f"{limit} backends ended" in end.message


def test_nothing_is_submitted_before_the_next_backend_has_said_how_the_last_one_ended() -> None:
    with road() as made:
        made.ready()
        session = made.open(PROMPT)
        silent = made.begin(status=None)
        assert silent.hears_nothing()
        assert made.sessions.health().reason == "loading"
        silent.say(STATUS)
        assert silent.submitted().key == session.submit.key


def test_who_lost_the_most_backends_is_submitted_last() -> None:
    with road() as made:
        backend = made.ready()
        first, second = (made.open(PROMPT) for _ in range(2))
        lose_seated(made, backend, first)
        made.lose()
        again = made.ready().commands(2)
        assert again == [second.resubmission(), first.resubmission()]
        assert [each.deaths for each in again if isinstance(each, Submit)] == [0, 1]


def test_who_waits_while_backends_die_is_not_blamed() -> None:
    with road() as made:
        made.ready()
        session = made.open(PROMPT)
        for _ in range(2 * DEATHS):
            made.lose()
            assert made.ready().submitted().deaths == 0
        assert not session.ended


@pytest.mark.slow
def test_a_reply_that_makes_progress_may_lose_any_number_of_backends() -> None:
    with road() as made:
        backend = made.ready()
        session = made.open(PROMPT)
        for count in range(2 * DEATHS):
            backend.say_tokens(session, count, 40 + count)
            events_of(session, 1)
            backend = lose_seated(made, backend, session)
            assert backend.submitted().delivered == tuple(session.tokens)
        assert session.tokens == list(range(40, 40 + 2 * DEATHS))


def test_when_no_backend_comes_in_time_open_sessions_end_with_an_error() -> None:
    with road(recovery_seconds=0.1) as made:
        made.ready()
        session = made.open(PROMPT)
        made.lose()
        (end,) = events_of(session, 1)
        assert isinstance(end, Finished)
        assert (end.reason, end.message) == (
            "unavailable",
            "the backend ended and was not replaced in time",
        )


def test_backends_that_never_say_a_word_do_not_come_back_in_time() -> None:
    with road(recovery_seconds=0.5) as made:
        made.ready()
        session = made.open(PROMPT)
        ended = False
        while not ended:
            made.begin(status=None)
            ended = bool(session.take(0.2))
        assert session.ended


def test_a_session_that_the_next_backend_refuses_ends_with_an_error() -> None:
    with road() as made:
        backend = made.ready()
        session = made.open(PROMPT)
        name = session.submit.session
        backend.say(Accepted(name, 0))
        events_of(session, 1)
        made.begin().say(Rejected(name, 0, "stopping", "the server is stopping"))
        assert events_of(session, 1) == [Finished(name, 0, 0, "error", "the server is stopping")]


class DyingEngine(RecordedEngine):
    """Kills its backend when the deadly token is fed or seated."""

    def __init__(self, deadly: int | None) -> None:
        super().__init__(rows=8, width=24, context_length=4096)
        self._deadly = deadly

    def seat(self, row: int, seating: Seating) -> None:
        if seating.seed == DEADLY_SEED:
            raise EngineDied
        super().seat(row, seating)

    def step(self, feeds: Sequence[Feed]) -> list[Drawn]:
        if any(self._deadly in feed.tokens for feed in feeds):
            raise EngineDied
        return super().step(feeds)


class EngineDied(Exception):
    """Stands for the end of the process."""


class RealBackends:
    """One real backend after another, stepped manually."""

    def __init__(self, deadly: int | None = None) -> None:
        self._deadly = deadly
        self._transport: MemoryTransport | None = None
        self._backend: DecodeBackend | None = None

    def connect(self) -> MemoryFrontendPort:
        if self._transport is None:
            raise PeerGone("no backend listens")
        return self._transport.connect()

    def begin(self) -> None:
        transport = MemoryTransport()
        engine = DyingEngine(self._deadly)
        self._backend = DecodeBackend(transport.backend_port, lambda: engine)
        self._transport = transport

    def step(self) -> None:
        assert self._backend is not None
        self._backend.step()

    def finish(self) -> None:
        self.step()
        while self._backend is not None and not self._backend.idle:
            self._backend.step()

    def kill(self) -> None:
        assert self._transport is not None
        transport, self._transport = self._transport, None
        transport.backend_port.close()


def scores_of(events: list[Event]) -> list[float]:
    return [number for event in events if isinstance(event, Scored) for number in event.logprobs]


def tokens_of(events: list[Event]) -> list[int]:
    return [token for event in events if isinstance(event, Tokens) for token in event.tokens]


@pytest.mark.slow
@pytest.mark.parametrize("lives", [[0], [1], [4], [20], [2, 3], [5, 1, 7, 9]])
def test_readers_get_the_same_tokens_and_scores_whichever_backends_died(lives: list[int]) -> None:
    backends = RealBackends()
    sessions = Sessions(backends.connect, silence_seconds=60, recovery_seconds=60)
    sessions.start()
    begin(backends, sessions)
    opened = [open_choices(sessions, prompt(seed))[0] for seed in range(6)]
    for life in lives:
        for _ in range(life):
            backends.step()
        backends.kill()
        until(lambda: not sessions.health().ready, "the loss", PATIENCE)
        begin(backends, sessions)
    finish(backends, opened)
    for seed, session in enumerate(opened):
        wanted, why = expected(prompt(seed).prompt, seed, 25)
        events = session.take(0)
        assert tuple(tokens_of(events)) == wanted
        assert tuple(scores_of(events)) == prompt_logprobs(prompt(seed).prompt)
        (end,) = [event for event in events if isinstance(event, Finished)]
        assert (end.length, end.reason) == (len(wanted), why)
    sessions.close()


def begin(backends: RealBackends, sessions: Sessions) -> None:
    def ready() -> bool:
        backends.step()
        return sessions.health().ready

    backends.begin()
    until(ready, "a backend that is ready", PATIENCE)


def finish(backends: RealBackends, opened: list[Choice]) -> None:
    backends.finish()
    until(lambda: all(session.ended for session in opened), "the end of all replies", PATIENCE)


def prompt(seed: int) -> Submit:
    text = tuple(b"an open session of some length"[: 5 * seed + 3])
    return Submit("", 0, text, SamplingParams(max_tokens=25, prompt_logprobs=True), seed=seed)


DEADLY = ord("~")  # occurs in no reply
DEADLY_SEED = 13


@pytest.mark.slow
def test_a_prompt_that_ends_its_backends_is_given_up_and_hurts_no_other() -> None:
    backends = RealBackends(deadly=DEADLY)
    sessions = Sessions(backends.connect, silence_seconds=60, recovery_seconds=60)
    sessions.start()
    begin(backends, sessions)
    harmless = [open_choices(sessions, prompt(seed))[0] for seed in range(9)]
    killers = [
        open_choices(sessions, replace(prompt(seed), prompt=(72, DEADLY)))[0] for seed in (1, 2)
    ]
    killers.append(open_choices(sessions, prompt(DEADLY_SEED))[0])
    harmless += [open_choices(sessions, prompt(seed))[0] for seed in range(9, 12)]
    deaths = 0
    while not all(session.ended for session in (*harmless, *killers)):
        try:
            backends.step()
        except EngineDied:
            deaths += 1
            assert deaths <= 3 * DEATHS
            backends.kill()
            until(lambda: not sessions.health().ready, "the loss", PATIENCE)
            backends.begin()
    for killer in killers:
        (end,) = [event for event in killer.take(0) if isinstance(event, Finished)]
        assert end.reason == "error"
    for seed, session in enumerate(harmless):
        wanted, why = expected(prompt(seed).prompt, seed, 25)
        events = session.take(0)
        assert tuple(tokens_of(events)) == wanted
        assert [event.reason for event in events if isinstance(event, Finished)] == [why]
    sessions.close()
