"""The demultiplexer: from one stream of events to one queue per choice.

One thread reads the backend's events and hands each to its choice. When the backend ends, open
choices are resubmitted to the next one with the tokens they have, and continue. Other threads add
and remove choices; that is one operation on a dictionary each, and the demultiplexer works on a
copy. Knows no text, no HTTP, no dialect and no journal.
"""

import logging
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from rowcast.errors import NotReady, PeerGone
from rowcast.frontend.sessions.choice import Choice
from rowcast.frontend.sessions.meter import Meter, NoMeter
from rowcast.frontend.sessions.room import Room
from rowcast.transport.descriptors import Shortage
from rowcast.transport.ports import FrontendPort
from rowcast.wire import Cancel, Command, Event, ReplyKey, RowStates, Seated, Status, Tokens
from rowcast_http.rest import rest

_log = logging.getLogger("rowcast.sessions")

TURN = 8  # batches delivered before streams get a turn, if some have not read the last one
RETRY_FIRST, RETRY_MOST = 0.05, 0.5


@dataclass(frozen=True, slots=True)
class Health:
    """Whether a prompt sent now would be answered, and if not, why."""

    ready: bool
    reason: str
    status: Status | None


class Demultiplexer:
    """The choices that the backend computes for this process, and the connection to it."""

    def __init__(
        self,
        connect: Callable[[], FrontendPort],
        *,
        silence_seconds: float,
        recovery_seconds: float,
        meter: Meter | None = None,
    ) -> None:
        self.room = Room()
        self._meter = meter or NoMeter()
        self._connect = connect
        self._silence_seconds = silence_seconds
        self._recovery_seconds = recovery_seconds
        self._choices: dict[ReplyKey, Choice] = {}
        self._port: FrontendPort | None = None
        self._status: Status | None = None
        self._greeted = False  # whether the backend has sent its first Status
        self._last_event = 0.0
        self._lost = time.monotonic()
        self.on_ready: Callable[[], None] = lambda: None  # a backend has sent its first Status
        self._closing = threading.Event()
        self._hurry = threading.Event()  # connect now
        self._thread = threading.Thread(target=self._run, name="demultiplexer", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def hurry(self) -> None:
        """Connect now: there is a backend."""
        self._hurry.set()

    def forget_backend(self) -> None:
        """End the connection to a backend that was stopped, even if its EOF has not arrived."""
        port, self._greeted = self._port, False
        if port is not None:
            port.close()

    def close(self) -> None:
        """End the thread, whatever it waits for."""
        self._closing.set()
        self._hurry.set()
        if self._port is not None:
            self._port.close()
        if self._thread.ident is not None:
            self._thread.join(timeout=10)

    def __len__(self) -> int:
        return len(self._choices)

    def health(self) -> Health:
        """Return the state of the backend, as this process sees it."""
        silent = time.monotonic() - self._last_event
        if self._port is None:
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

    @property
    def counts_room(self) -> bool:
        """True if there is so little room that the backend reports every change."""
        return self._greeted and self.room.is_little

    def add(self, choices: Sequence[Choice]) -> None:
        """Submit choices of one team; they continue after their tokens. Raises NotReady."""
        port = self._port  # the next backend gets them from `_resubmit`
        self._choices.update((choice.submit.key, choice) for choice in choices)
        self.room.sent((choice.submit.key for choice in choices), choices[0].submit.team)
        try:
            _send(port, *(each.resubmission() if each.tokens else each.submit for each in choices))
        except PeerGone as gone:
            for choice in choices:
                self.remove(choice)
                self.room.acknowledged(choice.submit.key)
            raise NotReady(f"the backend is not available: {gone}") from gone
        for choice in choices:
            if choice.ended and not choice.finished:  # its reader left, perhaps before the prompt
                self._choices.pop(choice.submit.key, None)
                self._cancel(choice)

    def remove(self, choice: Choice) -> None:
        """Forget a choice; if the backend may still compute it, free its row."""
        if self._choices.pop(choice.submit.key, None) is not None and not choice.finished:
            self._cancel(choice)

    def _cancel(self, choice: Choice) -> None:
        try:
            _send(self._port, Cancel(*choice.submit.key))
        except PeerGone:
            _log.debug("backend gone before a cancel; its rows are gone with it")

    def _run(self) -> None:
        """Run the demultiplexer: connect, serve until the backend ends, repeat."""
        pause, shortage = RETRY_FIRST, Shortage("backend")
        while not self._closing.is_set():
            try:
                port = self._connect()
            except PeerGone as gone:
                shortage.note(gone.__cause__)
                self._give_up_late()
                self._hurry.wait(pause)
                self._hurry.clear()
                pause = min(RETRY_MOST, pause * 1.5)
            else:
                pause = RETRY_FIRST
                shortage.end()
                self._serve(port)

    def _serve(self, port: FrontendPort) -> None:
        try:
            self._port = port
            self._greet(port)
            self._resubmit(port)
            self._greeted = True
            self.on_ready()
            unread = 0
            while not self._closing.is_set():
                unread = unread + 1 if self._deliver(port.receive(until_closed=True)) else 0
                if unread == TURN:
                    # A flood of events must not keep the streams from writing: let them run.
                    unread = 0
                    rest()
        except PeerGone as gone:
            if not self._closing.is_set():
                level = logging.WARNING if self._choices else logging.INFO  # it may be unloaded
                _log.log(level, "backend lost: %s", gone)
        except Exception:  # noqa: BLE001  # one bad event must not end all streams
            _log.exception("events could not be delivered; reconnecting")
        finally:
            self._note_loss()
            port.close()

    def _note_loss(self) -> None:
        """Note that no backend is connected; open choices wait for the next one."""
        if self._greeted:  # one that never sent a Status does not count
            self._lost = time.monotonic()
        self._port, self._greeted = None, False
        self.room.forget()
        for choice in list(self._choices.values()):
            choice.interrupt()

    def _greet(self, port: FrontendPort) -> None:
        """Wait for the backend's first Status, which tells how the previous one ended."""
        while not self._closing.is_set():
            self._give_up_late()
            events = port.receive()
            self._deliver(events)
            statuses = [event for event in events if isinstance(event, Status)]
            if statuses:
                for choice in list(self._choices.values()):
                    choice.count_loss(killed=statuses[0].replaces_killed)
                return

    def _resubmit(self, port: FrontendPort) -> None:
        choices = list(self._choices.values())  # a copy: other threads add and remove choices
        choices.sort(key=lambda each: each.deaths)  # likely culprits go last
        again = [each.resubmission() for each in choices if not each.ended]
        if again:
            _log.info("resubmitting sessions=%d", len(again))
            self._meter.recovered(len(again), time.monotonic() - self._lost)
            for each in again:
                self.room.sent([each.key], each.team)
            port.send(again)

    def _deliver(self, events: Sequence[Event]) -> bool:
        """Hand events to their choices; return whether streams have something else to do.

        They have if one has not read what arrived before, or if one begins or ends.
        """
        if not events:
            return False
        now = self._last_event = time.monotonic()
        fresh, tokens, lags = [], 0, False
        unacknowledged = self.room.has_unacknowledged
        for event in events:
            if not isinstance(event, Tokens):
                lags = self._take(event) or lags
                continue
            key = (event.session, event.choice)
            if unacknowledged:
                self.room.acknowledged(key)
            if (choice := self._choices.get(key)) is None:
                continue
            lags = lags or choice.has_unread
            if new := choice.offer(event):
                fresh.append(choice)
                tokens += new
        if fresh:
            self._meter.received(fresh, tokens, now)
        return lags

    def _take(self, event: Event) -> bool:
        """Take an event other than tokens; return whether it is one of a choice."""
        if isinstance(event, Status):
            self._status = event
            self.room.update(event)
        if isinstance(event, Status | RowStates):  # another connection watches the rows
            return False
        self.room.acknowledged(event.key)
        if (choice := self._choices.get(event.key)) is None:
            return False
        if isinstance(event, Seated):
            self._offer_seated(choice, event)
        else:
            choice.offer(event)
        return True

    def _offer_seated(self, choice: Choice, event: Seated) -> None:
        """Hand it to its choice. Later ones are of other rows, or correct the first."""
        had_row = bool(choice.times.seatings)
        choice.offer(event)
        if choice.times.seatings and not had_row:
            self._meter.seated(choice)

    def _give_up_late(self) -> None:
        if time.monotonic() - self._lost > self._recovery_seconds:
            for choice in list(self._choices.values()):
                choice.end("unavailable", "the backend ended and was not replaced in time")


def _send(port: FrontendPort | None, *commands: Command) -> None:
    if port is None:
        raise PeerGone("no backend is connected")
    port.send(commands)
