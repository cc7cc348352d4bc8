"""Sessions and their demultiplexer: from one stream of events to one queue per session.

One thread reads the backend's events and hands each to its session. When the backend ends, open
sessions are resubmitted to the next one with the tokens they have, and continue. Knows no text, no
HTTP and no dialect.
"""

import itertools
import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

from rowcast.errors import (
    NotReady,
    PeerGone,
    Stopping,
)
from rowcast.frontend.sessions.room import Room
from rowcast.frontend.sessions.session import Session, prepare
from rowcast.transport.ports import FrontendPort
from rowcast.wire import (
    Cancel,
    Command,
    Event,
    FinishReason,
    ReplyKey,
    Status,
    Submit,
)

_log = logging.getLogger("rowcast.sessions")

TURN = 8  # batches delivered before streams get a turn, if they had none
RETRY_FIRST, RETRY_MOST = 0.05, 0.5


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
        self._room = Room()
        self._greeted = False  # whether the backend has sent its first Status
        self._heard = 0.0
        self._lost = time.monotonic()
        self._stopping = False
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="demultiplexer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def stop(self) -> None:
        """Open no more sessions; open ones continue."""
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
        """Return the state of the backend, as this process sees it."""
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
        """Open a session and submit its prompt. Raises Unavailable if it would not be answered."""
        return self.open_all([submit], threading.Event())[0]

    def open_all(self, submits: Sequence[Submit], arrived: threading.Event) -> list[Session]:
        """Open the choices of one prompt as one session; `arrived` is set whenever one has news."""
        opened = prepare(submits, arrived)
        self.submit(opened)
        return opened

    def submit(self, sessions: Sequence[Session]) -> None:
        """Submit prepared sessions; they continue after their tokens. Raises Unavailable."""
        health = self.health()
        if not health.ready:
            raise (Stopping if self._stopping else NotReady)(health.reason)
        team = sessions[0].submit.team if sessions else ""
        self.check_room(len([each for each in sessions if not each.tokens]), team=team)
        self._sessions.update((session.submit.key, session) for session in sessions)
        self._room.sent((session.submit.key for session in sessions), team)
        try:
            self._send(*(each.resubmission() if each.tokens else each.submit for each in sessions))
        except PeerGone as gone:
            for session in sessions:
                self._sessions.pop(session.submit.key, None)
                self._room.heard_of(session.submit.key)
            raise NotReady(f"the backend is not there: {gone}") from gone

    @property
    def counts_room(self) -> bool:
        """True if there is so little room that the backend reports every change."""
        return self._greeted and self._room.is_little

    def check_room(self, count: int = 1, *, team: str = "", coming: int = 0) -> None:
        """Refuse at once what the backend would refuse after its step.

        Only while room is counted; otherwise there may be more than the backend has reported.
        `coming`: replies of the team that will need a row before this one.
        """
        if self.counts_room:
            self._room.check(count, team, coming)

    def close_session(
        self, session: Session, why: str = "", reason: FinishReason = "cancelled"
    ) -> None:
        """Forget a session; cancel an unfinished reply, so that its row becomes free."""
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
        """Run the demultiplexer: connect, serve until the backend ends, repeat."""
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
        """Note that no backend is connected; open sessions wait for the next one."""
        if self._greeted:  # one that never sent a Status does not count
            self._lost = time.monotonic()
        self._port, self._greeted = None, False
        self._room.forget()
        for session in list(self._sessions.values()):
            session.interrupt()

    def _greet(self, port: FrontendPort) -> None:
        """Wait for the backend's first Status, which tells how the previous one ended."""
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
        sessions = list(self._sessions.values())  # a copy: other threads open and close sessions
        sessions.sort(key=lambda each: each.deaths)  # likely culprits go last
        again = [each.resubmission() for each in sessions if not each.ended]
        if again:
            _log.info("resubmitting sessions=%d", len(again))
            for each in again:
                self._room.sent([each.key], each.team)
            port.send(again)

    def _deliver(self, events: Iterable[Event]) -> None:
        for event in events:
            self._heard = time.monotonic()
            if isinstance(event, Status):
                self._status = event
                self._room.told(event)
                continue
            self._room.heard_of(event.key)
            if (session := self._sessions.get(event.key)) is not None:
                session.offer(event)

    def _give_up_late(self) -> None:
        if time.monotonic() - self._lost > self._recovery_seconds:
            for session in list(self._sessions.values()):
                session.end("unavailable", "the backend ended and did not come back in time")
