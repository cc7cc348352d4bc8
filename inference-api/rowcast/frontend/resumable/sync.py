"""Keeps the journal and this process's sessions in sync, ten times a second while there are any.

New events of sessions computed here are written; sessions taken or cancelled elsewhere are ended;
followers get what the other process has written. Expired ones are swept away. While the journal
fails, only the ability to resume is lost: followers compute for themselves, and unwritten events
wait.

`Sync` alone changes which sessions are owned and followed. Its lock is held while one moves, and
while events are taken from a session and handed to the journal client, so that they are written in
order; never while it waits for the journal or the backend (decision 68).
"""

import threading
import time
from collections import Counter

from rowcast.errors import JournalFailing, Unavailable
from rowcast.frontend.resumable.journal_client import JournalClient
from rowcast.frontend.sessions.choice import Choice
from rowcast.frontend.sessions.session import Place, Session, decoded, encoded
from rowcast.frontend.turns import in_parts
from rowcast.journal.eviction import SWEEP_AT_ONCE
from rowcast.journal.journal import Journal
from rowcast.journal.record import News, SyncResult
from rowcast.wire import Event, Seated
from rowcast_http.rest import rest

TAKEN = "another connection is reading this stream now"
CANCELLED = "the stream was cancelled"
TICK_SECONDS = 0.1
SWEEP_SECONDS = 10.0


class Sync:
    """The sessions that are owned and followed here, and the thread that syncs them."""

    def __init__(self, client: JournalClient) -> None:
        self._client = client
        self.owned: dict[str, Session] = {}  # computed here, by id
        self.followed: dict[Session, int] = {}  # with the last batch read
        self._resuming: Counter[str] = Counter()  # sessions that are being taken over, by id
        self._left: dict[str, Session] = {}  # those of them that were left last, not released yet
        self._writing: dict[Session, list[Event]] = {}  # handed over by a tick that has not ended
        self._lock = threading.Lock()
        self._wake = threading.Event()  # set when there is something to sync
        self._closing = False
        self._swept = self._synced = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="sync", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def close(self) -> None:
        self._closing = True
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=5)

    @property
    def lag(self) -> float:
        """Seconds since the last sync, if there is anything to sync."""
        return time.monotonic() - self._synced if self._busy else 0.0

    @property
    def _busy(self) -> bool:
        return bool(self.owned or self.followed)

    def own(self, session: Session, place: Place = Place.OWNED) -> bool:
        """Write a session's events to the journal, and end any earlier reader of it here.

        Returns False if its own reader has left meanwhile; then it is released.
        """
        with self._lock:
            if session.place is Place.GONE:
                self._release(session)
                return False
            idle = not self._busy
            before = self._give_up(session.id)
            self.followed.pop(session, None)
            session.place = place
            self.owned[session.id] = session
            if idle:
                self._end_idle()
        if before is not None:
            before.home.end(before, TAKEN)
        return True

    def accept(self, session: Session) -> None:
        """Note that a claimed session was accepted: from now on its record stays."""
        with self._lock:
            if session.place is Place.CLAIMED:
                session.place = Place.OWNED

    def oust(self, name: str, why: str) -> None:
        """Give up a session that this process no longer owns: end its reader here."""
        with self._lock:
            session = self._give_up(name)
        if session is not None:
            session.home.end(session, why)

    def leave(self, session: Session) -> None:
        """Release a session that has no reader, with its last events; delete a refused one."""
        with self._lock:
            place, session.place = session.place, Place.GONE
            self.followed.pop(session, None)
            if place is Place.CLAIMED:
                del self.owned[session.id]
                self._client.soon(Journal.forget, session.id)
            elif place is Place.OWNED:
                del self.owned[session.id]
                if session.id in self._resuming:
                    self._left[session.id] = session
                else:
                    self._release(session)

    def resume(self, session: Session) -> News | None:
        """Return all of a recorded session, and own it if it is open.

        Its earlier reader here may leave meanwhile; then it is not released, but handed over.
        """
        with self._lock:
            before = self.owned.get(session.id)
            events = before.take() if before is not None else []
            job = self._client.call(Journal.resume, session.id, encoded(events))
            self._resuming[session.id] += 1
        try:
            news = self._client.wait(job)
            if news is not None:
                session.place = Place.READ
                if news.state == "open":
                    self.own(session)
        except JournalFailing:
            if before is not None:
                before.put_back(events)
            raise
        else:
            return news
        finally:
            self._end_resuming(session.id)

    def store(self, session: Session, choice: Choice) -> bool:
        """Write a session's events now, with the number of cached tokens that a choice found.

        Returns False if that failed, or another process may continue the session.
        """
        with self._lock:
            if self.owned.get(session.id) is not session:
                return session.place is Place.READ  # it is not written any more, nor read again
            events = session.take() or [Seated("", choice.at, choice.cached or 0)]
            job = self._client.call(Journal.append, session.id, encoded(events))
        try:
            stored = self._client.wait(job)
        except JournalFailing:
            session.put_back(events)
            return False
        if stored:
            session.stored(events)
        return stored

    def join(self, session: Session, news: News) -> bool:
        """Follow a session while its owner lives, then take it over.

        If another process takes it first, keep following. Returns whether the rest is to be
        computed here.
        """
        if news.state == "open" and news.lives:
            return self._follow(session, news.number)
        if news.state == "cancelled":
            self._stop_following(session)
            session.home.end(session, CANCELLED)
            return False
        if news.state == "ended":
            read = self._stop_following(session)
            if read:
                session.show_none_cached()
            return read
        if self._client.do(Journal.take, session.id, news.owner):
            session.show_none_cached()
            session.record()
            return self.own(session)
        return self._follow(session, news.number)

    def _end_resuming(self, name: str) -> None:
        """Release the session of a reader that has left, if nobody has taken it over after all.

        Several may resume a stream at once; each of them may have taken it over and left.
        """
        with self._lock:
            self._resuming[name] -= 1
            if self._resuming[name]:
                return
            del self._resuming[name]
            left = self._left.pop(name, None)
            if left is not None and name not in self.owned:
                self._release(left)

    def _release(self, session: Session) -> None:
        """Write the last events of a session, which other processes may continue.

        Those that a tick writes now are written again, since it may fail: repeated, they change
        nothing, and without them a stream would be stored as ended that lacks its end.
        """
        last = [*self._writing.get(session, ()), *session.take()]
        self._client.soon(Journal.let_go, session.id, encoded(last), session.complete)

    def _give_up(self, name: str) -> Session | None:
        """Remove an owned session, and return it."""
        session = self.owned.pop(name, None)
        if session is not None:
            session.place = Place.GONE
        return session

    def _follow(self, session: Session, seen: int) -> bool:
        """Expect more of a session through the journal."""
        with self._lock:
            if session.place is not Place.GONE:
                idle = not self._busy
                session.place = Place.FOLLOWED
                self.followed[session] = seen
                if idle:
                    self._end_idle()
        return False

    def _stop_following(self, session: Session) -> bool:
        """Expect no more of a session through the journal; return whether it has a reader."""
        with self._lock:
            self.followed.pop(session, None)
            if session.place is Place.GONE:
                return False
            session.place = Place.READ
        return True

    def _end_idle(self) -> None:
        """Sync at once: a session has come after a time without any."""
        self._synced = time.monotonic()
        self._wake.set()

    def _run(self) -> None:
        while not self._closing:
            self._wake.wait(TICK_SECONDS if self._busy else SWEEP_SECONDS)
            self._wake.clear()
            if self._busy:
                self._tick()
            if time.monotonic() - self._swept > SWEEP_SECONDS:
                self._sweep()

    def _tick(self) -> None:
        """Exchange all news with the journal, in one call."""
        with self._lock:
            taken = [(session, session.take()) for session in self.owned.values()]
            self._writing = dict(taken)
            followed = dict(self.followed)
            batches = [(session.id, encoded(events)) for session, events in taken if events]
            seen = [(session.id, number) for session, number in followed.items()]
            job = self._client.call(Journal.tend, batches, seen)
        try:
            result = self._client.wait(job)
        except JournalFailing:
            for session, events in taken:
                session.put_back(events)
            for session in followed:
                self._compute_alone(session)
            return
        finally:
            with self._lock:
                self._writing = {}
        self._synced = time.monotonic()
        self._note_lost(result, {session.id: session for session, _ in taken})
        for session, events in taken:
            if session.place is not Place.GONE:
                session.stored(events)
        for session, news in in_parts(zip(followed, result.news, strict=True)):
            self._update(session, news)

    def _note_lost(self, result: SyncResult, written: dict[str, Session]) -> None:
        """End the sessions that were taken or cancelled; stop writing those no longer kept."""
        for name, state in result.ousted:
            before = written.get(name)
            if before is None or before is self.owned.get(name):  # else it was resumed here since
                self.oust(name, CANCELLED if state == "cancelled" else TAKEN)
        for name in result.gone:
            with self._lock:
                if self.owned.get(name) is written[name]:
                    del self.owned[name]
                    written[name].place = Place.READ
                    written[name].stop_recording()

    def _update(self, session: Session, news: News | None) -> None:
        """Bring a followed session to what the journal has of it; compute the rest if need be."""
        if session not in self.followed:
            return  # its reader has left
        if news is None:
            self._compute_alone(session)
            return
        session.know(in_parts(decoded(news.batches)))
        try:
            if self.join(session, news):
                self._compute(session)
        except JournalFailing:
            self._compute_alone(session)

    def _compute_alone(self, session: Session) -> None:
        """Compute the rest of a followed session without the journal."""
        session.behind = True
        if self._stop_following(session):
            self._compute(session)

    def _compute(self, session: Session) -> None:
        try:
            session.home.submit(session.unfinished)
        except Unavailable as unavailable:
            for choice in session.choices:
                choice.end("unavailable", str(unavailable))

    def _sweep(self) -> None:
        self._swept = time.monotonic()
        try:
            while self._client.do(Journal.sweep) == SWEEP_AT_ONCE:
                rest()  # calls of others come first
        except JournalFailing:
            return
