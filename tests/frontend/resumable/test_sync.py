"""Sync alone decides which sessions are owned and followed, whichever threads leave and take over.

With real threads, not those of gevent, and a journal client that records what it is handed.
"""

import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import pytest

from processes import until
from rowcast import wire
from rowcast.errors import JournalFailing, NotReady
from rowcast.frontend.resumable import sync as module
from rowcast.frontend.resumable.journal_client import Job
from rowcast.frontend.resumable.sync import CANCELLED, TAKEN, Sync
from rowcast.frontend.sessions.choice import Choice
from rowcast.frontend.sessions.session import Place, Session, decoded
from rowcast.journal.record import News, SyncResult
from rowcast.wire import Event, Finished, Seated, Tokens

from ..sessions.test_session import finish, offer, session_of
from ..threads import at_once

HERE, ALONE = News(0, [], "open", "us", lives=True), News(0, [], "open", None, lives=False)


@dataclass
class Client:
    """A journal client: it records calls in their order, and answers at once."""

    calls: list[tuple[str, tuple[Any, ...]]] = field(default_factory=list)
    lost: SyncResult = field(default_factory=lambda: SyncResult([], [], []))
    news: Callable[[], list[News | None]] = list  # of the followed sessions
    take: Callable[[], bool] = lambda: True
    append: Callable[[], bool | None] = lambda: None
    failing: bool = False
    handing: Callable[[str], None] = lambda _: None  # called before a call is handed over

    def call(self, method: Callable[..., Any], *arguments: Any) -> Job[Any]:
        name = method.__name__
        self.handing(name)
        self.calls.append((name, arguments))
        job: Job[Any] = Job((name, arguments), again=False)
        if name == "tend":
            news = self.news() if arguments[1] else []
            job.result = SyncResult(self.lost.ousted, self.lost.gone, news)
            self.lost = SyncResult([], [], [])
        elif name == "append":
            job.result = self.append()
        return job

    def wait(self, job: Job[Any]) -> Any:
        if self.failing:
            raise JournalFailing("the journal fails")
        return job.result

    def do(self, method: Callable[..., Any], *arguments: Any) -> Any:
        return (
            self.take() if method.__name__ == "take" else self.wait(self.call(method, *arguments))
        )

    def soon(self, method: Callable[..., Any], *arguments: Any) -> None:
        self.call(method, *arguments)

    def made(self, name: str) -> list[tuple[Any, ...]]:
        return [arguments for each, arguments in self.calls if each == name]


@dataclass
class Sessions:
    """Records what was submitted and ended."""

    submitted: list[Choice] = field(default_factory=list)
    ready: bool = True

    def submit(self, choices: Sequence[Choice]) -> None:
        if not self.ready:
            raise NotReady("no backend is connected")
        self.submitted += choices

    def end(self, session: Session, why: str) -> None:
        for choice in session.choices:
            choice.end("cancelled", why)


@dataclass
class Played:
    """A Sync whose collaborators the test plays."""

    client: Client = field(default_factory=Client)
    sessions: Sessions = field(default_factory=Sessions)
    sync: Sync = field(init=False)

    def __post_init__(self) -> None:
        self.sync = Sync(self.client)  # type: ignore[arg-type]

    def session(self, *counts: int) -> Session:
        """Return a session whose home records its calls."""
        session = session_of(*counts)
        session.home = self.sessions  # type: ignore[assignment]
        return session


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Iterator[Played]:
    monkeypatch.setattr(module, "TICK_SECONDS", 0.0)
    made = Played()
    yield made
    made.sync.close()


def end_of(session: Session) -> str:
    (end,) = [each for each in session.choices[0].drain() if isinstance(each, Finished)]
    return end.message


def test_a_session_that_is_owned_again_ends_for_its_earlier_reader(played: Played) -> None:
    first, second = played.session(1), played.session(1)
    second.origin = first.origin
    played.sync.own(first)
    played.sync.own(second)
    assert (first.place, second.place) == (Place.GONE, Place.OWNED)
    assert end_of(first) == TAKEN
    played.sync.leave(first)
    assert played.client.calls == []
    played.sync.leave(second)
    assert played.client.made("let_go") == [(second.id, b"", False)]


def test_the_lag_is_that_of_open_sessions(played: Played) -> None:
    assert played.sync.lag == 0
    session = played.session(1)
    played.sync.own(session)
    assert played.sync.lag > 0
    played.sync._synced -= 5  # seconds pass
    before = played.sync.lag
    played.sync._tick()
    assert played.sync.lag < before
    played.client.failing = True
    played.sync._tick()
    assert played.sync.lag > 0
    played.sync.leave(session)
    assert played.sync.lag == 0


@pytest.mark.parametrize("follows", [False, True])
def test_the_time_without_sessions_is_no_lag(played: Played, follows: bool) -> None:
    played.sync._synced -= 60  # seconds pass
    session = played.session(1)
    if follows:
        played.sync.join(session, HERE)
    else:
        played.sync.own(session)
    assert 0 < played.sync.lag < 60
    played.sync._synced -= 60
    played.sync.own(played.session(1))
    assert played.sync.lag > 60, "the first one has waited since"


def test_a_session_that_was_refused_is_deleted_and_an_accepted_one_released(
    played: Played,
) -> None:
    refused, accepted = played.session(1), played.session(1)
    for session in (refused, accepted):
        played.sync.own(session, Place.CLAIMED)
    played.sync.accept(accepted)
    for session in (refused, accepted):
        played.sync.leave(session)
    assert played.client.made("forget") == [(refused.id,)]
    assert played.client.made("let_go") == [(accepted.id, b"", False)]


def test_what_was_taken_or_cancelled_elsewhere_ends_here(played: Played) -> None:
    taken, cancelled = played.session(1), played.session(1)
    played.sync.own(taken)
    played.sync.own(cancelled)
    played.client.lost = SyncResult([(taken.id, "open"), (cancelled.id, "cancelled")], [], [])
    played.sync.start()
    until(lambda: cancelled.choices[0].ended, "both have ended")
    assert (end_of(taken), end_of(cancelled)) == (TAKEN, CANCELLED)


def test_what_is_no_longer_kept_is_computed_on_without_being_recorded(played: Played) -> None:
    session = played.session(1)
    session.record()
    played.sync.own(session)
    offer(session, 0, 0, 5)
    played.client.lost = SyncResult([], [session.id], [])
    played.sync.start()
    until(lambda: session.place is Place.READ, "the news")
    offer(session, 0, 1, 6)
    assert session.take() == []
    assert not session.choices[0].ended


def test_a_follower_whose_owner_has_gone_takes_over(played: Played) -> None:
    session = played.session(2)
    played.client.news = lambda: [ALONE]
    played.sync.join(session, HERE)
    played.sync.start()
    until(lambda: session.place is Place.OWNED, "it is taken over")
    until(lambda: played.sessions.submitted == [*session.choices], "the rest is computed")


def test_a_follower_whose_reader_leaves_while_it_is_taken_over_is_released(
    played: Played,
) -> None:
    session, asked, left = played.session(1), threading.Event(), threading.Event()

    def take() -> bool:
        asked.set()
        assert left.wait(20)
        return True

    played.client.news, played.client.take = lambda: [ALONE], take
    played.sync.join(session, HERE)
    played.sync.start()
    assert asked.wait(20)
    played.sync.leave(session)
    left.set()
    until(lambda: played.client.made("let_go") == [(session.id, b"", False)], "it is released")
    played.sync.close()
    assert played.sessions.submitted == []


@pytest.mark.parametrize("resumes", ["it", "nothing", "an ended one"])
def test_a_reader_that_leaves_while_another_waits_to_resume_hands_the_session_over(
    played: Played, resumes: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is released only if the other one does not take it over after all."""
    first, second = played.session(1), played.session(1)
    second.origin = first.origin
    first.record()
    played.sync.own(first)
    offer(first, 0, 0, *range(5))

    def wait(_job: Job[Any]) -> News:
        offer(first, 0, 5, 5)
        played.sync.leave(first)
        if resumes == "nothing":
            raise JournalFailing("the journal fails")
        return HERE if resumes == "it" else News(0, [], "ended", None, lives=False)

    monkeypatch.setattr(played.client, "wait", wait)
    if resumes == "nothing":
        with pytest.raises(JournalFailing):
            played.sync.resume(second)
        assert written(played.client, first) == [*range(6)]
    else:
        played.sync.resume(second)
    released = [name for name, *_ in played.client.made("let_go")]
    assert released == ([] if resumes == "it" else [first.id])
    assert (second.place is Place.OWNED) == (resumes == "it")


def test_of_two_that_resume_at_once_the_one_that_succeeds_and_leaves_is_released(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The other one fails after that, and never owned anything."""
    first, second, third = (played.session(1) for _ in range(3))
    second.origin = third.origin = first.origin
    resumed: list[News | None] = []

    def wait(_job: Job[Any]) -> News:
        monkeypatch.setattr(played.client, "wait", lambda _job: HERE)
        resumed.append(played.sync.resume(third))
        third.record()
        offer(third, 0, 0, 5, 6)
        finish(third, 0)
        played.sync.leave(third)
        raise JournalFailing("the journal fails")

    monkeypatch.setattr(played.client, "wait", wait)
    with pytest.raises(JournalFailing):
        played.sync.resume(second)
    assert resumed == [HERE]
    ((name, batch, complete),) = played.client.made("let_go")
    assert (name, complete) == (third.id, True)
    assert wire.decode_events(batch) == [Tokens("", 0, 0, (5, 6)), Finished("", 0, 2, "stop")]
    assert not played.sync._resuming
    assert not played.sync._left


def test_two_that_fail_to_resume_at_once_leave_the_events_in_their_order(
    played: Played, monkeypatch: pytest.MonkeyPatch
) -> None:
    first, second, third = (played.session(1) for _ in range(3))
    second.origin = third.origin = first.origin
    first.record()
    played.sync.own(first)
    offer(first, 0, 0, 5)

    def fail(_job: Job[Any]) -> None:
        raise JournalFailing("the journal fails")

    def overlapped(_job: Job[Any]) -> None:
        offer(first, 0, 1, 6)
        later.append(first.take())  # as the other one does
        raise JournalFailing("the journal fails")

    later: list[list[Event]] = []
    monkeypatch.setattr(played.client, "wait", overlapped)
    with pytest.raises(JournalFailing):
        played.sync.resume(second)
    monkeypatch.setattr(played.client, "wait", fail)
    with pytest.raises(JournalFailing):
        played.sync.resume(third)
    first.put_back(later[0])
    played.sync.leave(first)
    assert written(played.client, first)[-2:] == [5, 6]


@pytest.mark.parametrize("fails", [False, True])
def test_a_reader_that_leaves_during_a_tick_leaves_a_whole_stream_behind(
    played: Played, monkeypatch: pytest.MonkeyPatch, fails: bool
) -> None:
    """The tick may fail after that. A stream that is stored as ended has its end."""
    session = played.session(1)
    session.record()
    played.sync.own(session)
    offer(session, 0, 0, 5)
    finish(session, 0)

    def wait(_job: Job[Any]) -> SyncResult:
        played.sync.leave(session)
        if fails:
            raise JournalFailing("the journal is slow")
        return SyncResult([], [], [])

    monkeypatch.setattr(played.client, "wait", wait)
    played.sync._tick()
    ((name, batch, complete),) = played.client.made("let_go")
    assert (name, complete) == (session.id, True)
    read = session_of(1)
    read.know(decoded([batch]))
    assert read.complete
    assert read.choices[0].tokens == [5]


def test_a_reader_that_left_before_its_session_was_owned_loses_no_events(played: Played) -> None:
    session = played.session(1)
    session.record()
    offer(session, 0, 0, 5)
    finish(session, 0)
    played.sync.leave(session)
    assert not played.sync.own(session)
    events: list[Event] = [Tokens("", 0, 0, (5,)), Finished("", 0, 1, "stop")]
    assert played.client.made("let_go") == [(session.id, wire.encode(events), True)]


def test_the_loss_of_an_earlier_session_does_not_end_the_one_that_resumed_it_since(
    played: Played,
) -> None:
    first, second = played.session(1), played.session(1)
    second.origin = first.origin
    played.sync.own(first)
    result = SyncResult([(first.id, "open")], [], [])
    played.sync.own(second)
    played.sync._note_lost(result, {first.id: first})
    assert list(played.sync.owned.values()) == [second]
    played.sync._note_lost(result, {second.id: second})
    assert not played.sync.owned


def test_while_the_journal_fails_a_follower_computes_for_itself_unless_it_has_left(
    played: Played,
) -> None:
    stays, leaves = played.session(1), played.session(1)
    for session in (stays, leaves):
        played.sync.join(session, HERE)
    played.sync.leave(leaves)
    played.client.failing = True
    played.sync.start()
    until(lambda: played.sessions.submitted == [*stays.choices], "it computes")
    assert (stays.place, leaves.place) == (Place.READ, Place.GONE)


def test_a_follower_that_cannot_be_computed_ends_with_the_reason(played: Played) -> None:
    session = played.session(1)
    played.client.news, played.sessions.ready = lambda: [None], False
    played.sync.join(session, HERE)
    played.sync.start()
    until(lambda: session.choices[0].ended, "it ends")
    (end,) = [each for each in session.choices[0].drain() if isinstance(each, Finished)]
    assert (end.reason, end.message) == ("unavailable", "no backend is connected")


def written(client: Client, session: Session) -> list[int]:
    """Return the tokens that a reader finds in what was handed to the journal, in that order."""
    batches: list[bytes] = []
    for name, arguments in client.calls:
        if name == "tend":
            batches += [batch for each, batch in arguments[0] if each == session.id]
        elif name == "let_go":
            batches.append(arguments[1])
    read = session_of(1)
    read.know(decoded(batch for batch in batches if batch))
    return read.choices[0].tokens


def test_events_are_handed_over_in_the_order_in_which_they_were_taken(played: Played) -> None:
    """Its reader leaves just when `sync` has taken events, and has not handed them over yet."""
    session, taken, left = played.session(1), threading.Event(), threading.Event()

    def handing(name: str) -> None:
        if name == "tend":
            taken.set()
            left.wait(0.2)  # long enough to be overtaken

    played.client.handing = handing
    session.record()
    played.sync.own(session)
    offer(session, 0, 0, 5)
    played.sync.start()
    assert taken.wait(20)
    offer(session, 0, 1, 6)
    played.sync.leave(session)
    left.set()
    assert written(played.client, session) == [5, 6]


@pytest.mark.usefixtures("hectic")
def test_sessions_may_be_followed_and_left_while_there_is_news_of_them(played: Played) -> None:
    played.client.news = lambda: [HERE] * len(played.client.calls[-1][1][1])
    played.sync.start()

    def read() -> None:
        for _ in range(100):
            session = played.session(1)
            played.sync.join(session, HERE)
            played.sync.leave(session)

    at_once(read, read, read)
    assert played.sync._thread.is_alive()
    assert not played.sync.followed


def cached(played: Played) -> tuple[Session, Choice]:
    """Return an owned session whose only choice has found three tokens computed."""
    session = played.session(1)
    session.record()
    played.sync.own(session)
    choice = session.choices[0]
    choice.offer(Seated(*choice.submit.key, 3))
    return session, choice


def test_a_number_of_cached_tokens_is_written_before_it_is_shown(played: Played) -> None:
    session, choice = cached(played)
    played.client.append = lambda: choice.shown is None
    assert played.sync.store(session, choice)
    assert choice.shown == 3
    assert played.client.made("append") == [(session.id, wire.encode([Seated("", 0, 3)]))]
    assert session.take() == []


def test_a_number_that_a_tick_has_taken_is_written_once_more(played: Played) -> None:
    session, choice = cached(played)
    session.take()  # it may not be durable yet
    played.client.append = lambda: True
    assert played.sync.store(session, choice)
    assert played.client.made("append") == [(session.id, wire.encode([Seated("", 0, 3)]))]


@pytest.mark.parametrize("fault", ["failing", "taken", "gone"])
def test_what_was_not_written_is_shown_as_nothing(played: Played, fault: str) -> None:
    """It may have been written after all: what is written next corrects it."""
    session, choice = cached(played)
    if fault == "gone":
        played.sync.oust(session.id, TAKEN)
    played.client.failing = fault == "failing"
    played.client.append = lambda: False
    assert not played.sync.store(session, choice)
    assert choice.show_cached(0) == 0
    assert session.take()[-1] == Seated("", 0, 0)
    again = session_of(1)
    again.know([Seated("", 0, 3), Seated("", 0, 0)])
    assert again.choices[0].shown == 0


def test_a_follower_shows_what_the_owner_has_written_and_nothing_else(played: Played) -> None:
    told, untold = played.session(1), played.session(1)
    told.know([Seated("", 0, 3)])
    played.client.news = lambda: [ALONE] * len(played.sync.followed)
    for session in (told, untold):
        played.sync.join(session, HERE)
    played.sync.start()
    until(lambda: len(played.sessions.submitted) == 2, "both are taken over")
    for session in (told, untold):
        session.choices[0].offer(Seated(*session.choices[0].submit.key, 7))
    assert (told.choices[0].shown, untold.choices[0].shown) == (3, 0)
    assert [*told.take(), *untold.take()] == []


def test_a_tick_stores_the_numbers_too(played: Played) -> None:
    _, choice = cached(played)
    played.sync.start()
    until(lambda: choice.shown == 3, "it is stored")
