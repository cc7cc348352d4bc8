"""The sessions of one model in this process: what a request calls, from opening to leaving.

    open     begin a session, or continue a recorded one; submit what must be computed here
    keep     once it is accepted: make it durable, before its headers are sent
    left     a choice has no reader any more: cancel what is left of it, free its row
    end      end all choices, from any thread: the client left, the time is over, it was cancelled

Joins the demultiplexer of one model and the process's journal, neither of which knows the other.
Knows no text, no HTTP and no dialect. Which thread may call what is in decision 68.
"""

from collections.abc import Callable, Sequence

from rowcast.errors import NotReady, Stopping
from rowcast.frontend.request.identity import Caller
from rowcast.frontend.request.origin import Origin
from rowcast.frontend.sessions.choice import Choice
from rowcast.frontend.sessions.demultiplexer import Demultiplexer, Health
from rowcast.frontend.sessions.journal import Journal, NoJournal
from rowcast.frontend.sessions.meter import Meter
from rowcast.frontend.sessions.session import Session
from rowcast.transport.ports import FrontendPort
from rowcast.wire import Finished, FinishReason, Submit
from rowcast_http.alarms import Alarms


class Sessions:
    """All sessions of one model in this process."""

    def __init__(
        self,
        connect: Callable[[], FrontendPort],
        journal: Journal | None = None,
        *,
        silence_seconds: float,
        recovery_seconds: float,
        meter: Meter | None = None,
    ) -> None:
        """`journal`: the process's own, which somebody else starts and closes."""
        self.connect = connect  # makes one more connection to the backend
        self.alarms = Alarms()  # of waits for events
        self._demultiplexer = Demultiplexer(
            connect,
            silence_seconds=silence_seconds,
            recovery_seconds=recovery_seconds,
            meter=meter,
        )
        self.stopping = False  # open no more sessions
        self.journal = journal or NoJournal()

    def start(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """`on_ready` is called whenever a backend has sent its first Status."""
        self._demultiplexer.on_ready = on_ready
        self._demultiplexer.start()

    def hurry(self) -> None:
        """Connect now: there is a backend."""
        self._demultiplexer.hurry()

    def forget_backend(self) -> None:
        """End the connection to a backend that was stopped, even if its EOF has not arrived."""
        self._demultiplexer.forget_backend()

    def stop(self) -> None:
        """Open no more sessions; open ones continue."""
        self.stopping = True

    def close(self) -> None:
        """End everything."""
        self._demultiplexer.close()
        self.alarms.close()

    def __len__(self) -> int:
        """Return the number of choices in flight."""
        return len(self._demultiplexer)

    def open(
        self,
        origin: Origin,
        caller: Caller,
        request_id: str,
        prompts: Sequence[Sequence[Submit]],
    ) -> Session:
        """Begin or continue the replies to these prompts, each with its choices.

        Raises RequestError, and Unavailable if they would not be answered now.
        """
        session = Session(origin, caller, request_id, prompts, self)
        try:
            if self.journal.open(session):
                self.submit(session.unfinished)
        except Exception:
            self.journal.leave(session)
            raise
        return session

    def keep(self, session: Session) -> None:
        """Keep an accepted session; return when it is durable, or cannot be made durable."""
        self.journal.keep(session)

    def left(self, session: Session, choice: Choice, whole: Finished | None) -> None:
        """Close a choice that has no reader any more; `whole` is its end, if it is complete."""
        self.end_choice(choice)
        if session.left(choice, whole):
            self.journal.leave(session)

    def cached(self, session: Session, choice: Choice) -> int:
        """Return how many tokens of a choice's prompt were computed for another request.

        All readers of a session are shown the same number: it is stored before it is returned, and
        0 if it cannot be.
        """
        if choice.shown is None and session.behind:
            self.journal.read_cached(session)
        if choice.shown is not None:
            return choice.shown
        count = choice.cached or 0
        return choice.show_cached(count if count and self.journal.store(session, choice) else 0)

    def end(self, session: Session, why: str, reason: FinishReason = "cancelled") -> None:
        """End a session for its reader; free the rows of what is unfinished."""
        for choice in session.choices:
            self.end_choice(choice, why, reason)

    def end_choice(self, choice: Choice, why: str = "", reason: FinishReason = "cancelled") -> None:
        """End a choice for its reader, and free its row if it is unfinished."""
        choice.end(reason, why)
        self._demultiplexer.remove(choice)

    def submit(self, choices: Sequence[Choice]) -> None:
        """Have choices computed, after the tokens that they have. Raises Unavailable."""
        if not choices:
            return
        health = self.health()
        if not health.ready:
            raise (Stopping if self.stopping else NotReady)(health.reason)
        fresh = len([each for each in choices if not each.tokens])
        self.check_room(fresh, team=choices[0].submit.team)
        self._demultiplexer.add(choices)

    def health(self) -> Health:
        """Return whether a prompt sent now would be answered."""
        health = self._demultiplexer.health()
        if self.stopping:
            return Health(False, "the server is stopping", health.status)
        return health

    @property
    def counts_room(self) -> bool:
        """True if there is so little room that the backend reports every change."""
        return self._demultiplexer.counts_room

    def check_room(self, count: int = 1, *, team: str = "", coming: int = 0) -> None:
        """Refuse at once what the backend would refuse after its step.

        Only while room is counted; otherwise there may be more than the backend has reported.
        `coming`: replies of the team that will need a row before this one.
        """
        if self.counts_room:
            self._demultiplexer.room.check(count, team, coming)
