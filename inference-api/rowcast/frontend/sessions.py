"""Sessions and their demultiplexer: from one stream of events to one queue per session.

A session is opened before its prompt is submitted and closed when its stream ends; between the two
it gets exactly one end. One thread reads the backend's events and hands each to its session; a
session takes only the next index, so repeated events change nothing. When the backend ends, open
sessions are submitted to the next one with the tokens they have, and go on.
Knows no text, no HTTP and no dialect.
"""

import itertools
import logging
import threading
import time
import uuid
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import msgspec

from rowcast.errors import (
    MalformedRequest,
    NotReady,
    Overloaded,
    PeerGone,
    PromptTooLong,
    RowcastError,
    Stopping,
    full_line,
)
from rowcast.transport.ports import FrontendPort
from rowcast.wire import (
    LITTLE_ROOM,
    Accepted,
    Cancel,
    Command,
    Event,
    Finished,
    FinishReason,
    Rejected,
    ReplyKey,
    Scored,
    Seated,
    Status,
    Submit,
    Tokens,
)

_log = logging.getLogger("rowcast.sessions")

# Backends that may end under a seated session without a new token in between. One that somebody
# killed from outside counts as a part of one: that says little against who was seated.
DEATHS = 3
KILLED = 1 / 16
TURN = 8  # batches that are handed out before the streams get a turn, if they got none
RETRY_FIRST, RETRY_MOST = 0.05, 0.5


class Session:
    """One reply in flight, from open to close."""

    def __init__(self, submit: Submit, arrived: threading.Event | None = None) -> None:
        self.submit = submit
        self.tokens: list[int] = []
        self.scored = 0  # prompt tokens whose scores have come
        self.accepted = False
        self.ended = False  # its reader has been told the end
        self.finished = False  # the backend holds nothing of it any more
        self.seated = False  # the backend that ends now may end because of it
        self.losses = 0  # backends that ended under it, with a row, without a new token between
        self.deaths = 0.0  # what of that may be its doing
        self.kept: deque[Event] | None = None  # news for the journal, where there is one
        self._interrupted = False  # by a backend's end, of which its reader was not told yet
        self._events: deque[Event] = deque()
        self._arrived = arrived or threading.Event()  # shared by those that are read together

    def take(self, timeout: float | None = None) -> list[Event]:
        """Everything that has arrived; waits for something, but not longer than `timeout`.

        Comes back with nothing also when an interruption is to be told.
        """
        limit = None if timeout is None else time.monotonic() + timeout
        while True:
            self._arrived.clear()
            if self._events or self.was_interrupted():
                break
            left = None if limit is None else limit - time.monotonic()
            if not self._arrived.wait(left):
                break
        return self.drain()

    def drain(self) -> list[Event]:
        """Everything that has arrived."""
        return [self._events.popleft() for _ in range(len(self._events))]

    def interrupt(self) -> None:
        """Its backend has ended: it goes on, after a pause."""
        self._interrupted = not self.ended
        self._arrived.set()

    def was_interrupted(self) -> bool:
        """Whether its reader is to be told of a pause now; once each."""
        was, self._interrupted = self._interrupted, False
        return was

    def offer(self, event: Event) -> None:
        """Hand the session an event of the backend; it keeps what is news."""
        self.finished = self.finished or isinstance(event, Finished | Rejected)
        if self.ended:
            return
        match event:
            case Tokens():
                self._offer_tokens(event)
            case Scored():
                self._offer_scores(event)
            case Accepted():
                self._offer_accepted(event)
            case Seated():
                self.seated = True
            case Rejected() if self.accepted:
                self.end("error", event.message)
            case Rejected() | Finished():
                self.ended = True
                self._put(event)

    def end(self, reason: FinishReason, message: str = "") -> None:
        """End it from this side, unless it has ended."""
        if not self.ended:
            self.ended = True
            self._put(Finished(*self.submit.key, len(self.tokens), reason, message))

    def resubmission(self) -> Submit:
        """The same prompt for another backend, which goes on where the last one ended."""
        return msgspec.structs.replace(
            self.submit, delivered=tuple(self.tokens), deaths=int(self.deaths)
        )

    def count_loss(self, *, killed: bool) -> None:
        """The backend has ended; where this had a row there, it may be this session's doing."""
        if self.seated:
            self.losses += 1
            self.deaths += KILLED if killed else 1
        self.seated = False
        if self.deaths >= DEATHS:
            self.end("error", f"{self.losses} backends ended while they computed this reply")

    def precedes(self, event: Event) -> bool:
        """Whether this event follows upon what is known, with nothing in between."""
        match event:
            case Tokens():
                scores = len(self.submit.prompt) - 1 if self.submit.params.prompt_logprobs else 0
                return event.index <= len(self.tokens) and self.scored >= scores
            case Scored():
                return event.index <= self.scored + 1
            case Finished():
                return event.length <= len(self.tokens)
        return False

    def _offer_accepted(self, event: Accepted) -> None:
        if not self.accepted:
            self.accepted = True
            self._put(event)

    def _offer_tokens(self, event: Tokens) -> None:
        known = len(self.tokens) - event.index
        if known < 0:
            self.end("error", f"token {len(self.tokens)} was lost on the way")
        elif known < len(event.tokens):
            fresh = _without_first(event, known)
            self.tokens.extend(fresh.tokens)
            self.losses, self.deaths = 0, 0.0
            self._put(fresh)

    def _offer_scores(self, event: Scored) -> None:
        known = self.scored + 1 - event.index  # the first score has index 1
        if known < 0:
            self.end("error", f"the score of prompt token {self.scored + 1} was lost on the way")
        elif known < len(event.logprobs):
            fresh = _without_scores(event, known)
            self.scored += len(fresh.logprobs)
            self.losses, self.deaths = 0, 0.0
            self._put(fresh)

    def _put(self, event: Event) -> None:
        self._events.append(event)
        if self.kept is not None:
            self.kept.append(event)
        self._arrived.set()


def split(event: Tokens, at: int) -> tuple[Tokens, Tokens]:
    """The first `at` of these tokens, and the rest."""
    return _part(event, slice(0, at)), _part(event, slice(at, len(event.tokens)))


def _part(event: Tokens, part: slice) -> Tokens:
    logprobs = event.logprobs and event.logprobs[part]
    top = event.top and event.top[part]
    return Tokens(*event.key, event.index + part.start, event.tokens[part], logprobs, top)


def _without_first(event: Tokens, known: int) -> Tokens:
    return split(event, known)[1] if known else event


def _without_scores(event: Scored, known: int) -> Scored:
    if not known:
        return event
    top = event.top and event.top[known:]
    return Scored(*event.key, event.index + known, event.logprobs[known:], top)


def prepare(submits: Sequence[Submit], arrived: threading.Event) -> list[Session]:
    """Sessions for the choices of one prompt, which nobody computes yet."""
    name = uuid.uuid4().hex
    return [
        Session(msgspec.structs.replace(submit, session=name, choices=len(submits)), arrived)
        for submit in submits
    ]


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a prompt sent now would be answered, and if not, why."""

    ready: bool
    reason: str
    status: Status | None


class Sessions:
    """All sessions of this process, and its one connection to the backend."""

    def __init__(
        self,
        connect: Callable[[], FrontendPort],
        *,
        silence_seconds: float,
        recovery_seconds: float,
    ) -> None:
        self._connect = connect
        self._silence_seconds = silence_seconds
        self._recovery_seconds = recovery_seconds
        self._sessions: dict[ReplyKey, Session] = {}
        self._port: FrontendPort | None = None
        self._status: Status | None = None
        self._room = 0  # what is left of what the backend told
        self._greeted = False  # whether the backend has said its first word
        self._heard = 0.0
        self._lost = time.monotonic()
        self._stopping = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="demultiplexer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Open no more sessions; those that are open go on."""
        self._stopping = True

    @property
    def stopping(self) -> bool:
        return self._stopping

    def close(self) -> None:
        """End everything."""
        self._closing.set()
        if self._port is not None:
            self._port.close()
        self._thread.join(timeout=10)

    def __len__(self) -> int:
        return len(self._sessions)

    def health(self) -> Health:
        """The truth about the backend, as this process sees it."""
        silent = time.monotonic() - self._heard
        if self._stopping:
            problem = "the server is stopping"
        elif self._port is None:
            problem = "no backend is connected"
        elif not self._greeted or self._status is None:
            problem = "loading"
        elif silent > self._silence_seconds:
            problem = f"the backend has been silent for {silent:.0f} s"
        elif self._status.stopping:
            problem = "the backend is stopping"
        else:
            return Health(True, "ready", self._status)
        return Health(False, problem, self._status)

    def open(self, submit: Submit) -> Session:
        """Open a session and submit its prompt. Raises Unavailable when nobody would answer."""
        return self.open_all([submit], threading.Event())[0]

    def open_all(self, submits: Sequence[Submit], arrived: threading.Event) -> list[Session]:
        """The choices of one prompt, as one session; `arrived` is set whenever one has news."""
        opened = prepare(submits, arrived)
        self.submit(opened)
        return opened

    def submit(self, sessions: Sequence[Session]) -> None:
        """Have prepared sessions computed, from what they have on. Raises Unavailable."""
        health = self.health()
        if not health.ready:
            raise (Stopping if self._stopping else NotReady)(health.reason)
        self._take_room(len([each for each in sessions if not each.tokens]))
        self._sessions.update((session.submit.key, session) for session in sessions)
        try:
            self._send(*(each.resubmission() if each.tokens else each.submit for each in sessions))
        except PeerGone as gone:
            for session in sessions:
                self._sessions.pop(session.submit.key, None)
            raise NotReady(f"the backend is not there: {gone}") from gone

    def _take_room(self, count: int) -> None:
        """Refuse at once what the backend would refuse after its step.

        Only while it tells of every change; at other times there may be more room than it has told.
        """
        status = self._status
        if status is not None and status.room < LITTLE_ROOM and count > self._room:
            raise Overloaded(full_line(status.waiting, self._room), status.retry_after)
        self._room = max(0, self._room - count)

    def close_session(
        self, session: Session, why: str = "", reason: FinishReason = "cancelled"
    ) -> None:
        """Forget a session; a reply that goes on is cancelled, so that its row is free."""
        session.end(reason, why)
        if self._sessions.pop(session.submit.key, None) is None:
            return
        if session.finished:
            return
        try:
            self._send(Cancel(*session.submit.key))
        except PeerGone:
            _log.debug("backend gone before a cancel; its rows are gone with it")

    def _send(self, *commands: Command) -> None:
        port = self._port
        if port is None:
            raise PeerGone("no backend is connected")
        port.send(commands)

    def _run(self) -> None:
        """The demultiplexer: connect, serve until the backend ends, begin again."""
        pause = RETRY_FIRST
        while not self._closing.is_set():
            try:
                port = self._connect()
            except PeerGone:
                self._give_up_late()
                self._closing.wait(pause)
                pause = min(RETRY_MOST, pause * 1.5)
            else:
                pause = RETRY_FIRST
                self._serve(port)

    def _serve(self, port: FrontendPort) -> None:
        try:
            self._port = port
            self._greet(port)
            self._resubmit(port)
            self._greeted = True
            for batch in itertools.count(1):
                if self._closing.is_set():
                    break
                self._deliver(port.receive())
                if batch % TURN == 0:
                    # A flood of events must not keep the streams from writing: let them run.
                    time.sleep(0)
        except PeerGone as gone:
            if not self._closing.is_set():
                _log.warning("backend lost: %s", gone)
        except Exception:  # noqa: BLE001  # one bad event must not end all streams
            _log.exception("events could not be delivered; connecting anew")
        finally:
            self._note_loss()
            port.close()

    def _note_loss(self) -> None:
        """No backend is connected; open sessions wait for the next one."""
        if self._greeted:  # one that never said a word was none
            self._lost = time.monotonic()
        self._port, self._greeted = None, False
        for session in list(self._sessions.values()):
            session.interrupt()

    def _greet(self, port: FrontendPort) -> None:
        """Hear the backend's first word: it says how the one before ended."""
        while not self._closing.is_set():
            self._give_up_late()
            events = port.receive()
            self._deliver(events)
            told = [event for event in events if isinstance(event, Status)]
            if told:
                for session in list(self._sessions.values()):
                    session.count_loss(killed=told[0].replaces_killed)
                return

    def _resubmit(self, port: FrontendPort) -> None:
        sessions = list(self._sessions.values())  # a copy: other threads open and close them
        sessions.sort(key=lambda each: each.deaths)  # who may be deadly waits for all others
        again = [each.resubmission() for each in sessions if not each.ended]
        if again:
            _log.info("resubmitting sessions=%d", len(again))
            port.send(again)

    def _deliver(self, events: Iterable[Event]) -> None:
        for event in events:
            self._heard = time.monotonic()
            if isinstance(event, Status):
                self._status, self._room = event, event.room
            elif (session := self._sessions.get(event.key)) is not None:
                session.offer(event)

    def _give_up_late(self) -> None:
        if time.monotonic() - self._lost > self._recovery_seconds:
            for session in list(self._sessions.values()):
                session.end("unavailable", "the backend ended and did not come back in time")


def refusal(rejected: Rejected) -> RowcastError:
    """The error that a rejection means."""
    if rejected.reason in {"empty", "invalid"}:
        return MalformedRequest(rejected.message)
    if rejected.reason == "too_long":
        return PromptTooLong(rejected.message)
    if rejected.reason == "overloaded":
        return Overloaded(rejected.message, rejected.retry_after)
    return Stopping(rejected.message, rejected.retry_after)
