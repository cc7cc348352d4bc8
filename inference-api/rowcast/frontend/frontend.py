"""One frontend process: settings, client watch, journal, background requests, models, metrics.

    served = frontend.model(name, request)      a `ServedModel` until `request.close()`

A dialect's function receives it with each request.
"""

import threading
from dataclasses import dataclass, field

from rowcast.errors import NotReady
from rowcast.frontend.background.background import Background
from rowcast.frontend.listening.pauses import Pauses
from rowcast.frontend.metrics.metrics import Metrics
from rowcast.frontend.metrics.publishing import Publishing, State
from rowcast.frontend.metrics.reading import Reading
from rowcast.frontend.models.models import NONE_YET, Models
from rowcast.frontend.models.waiting import ClaimOptions
from rowcast.frontend.reply.trace import MODEL
from rowcast.frontend.request.request import Request
from rowcast.frontend.served_model import ServedModel
from rowcast.frontend.sessions.demultiplexer import Health
from rowcast.frontend.sessions.journal import Journal, NoJournal
from rowcast.frontend.watching.dials import Dials
from rowcast.settings import Settings
from rowcast_http.client_watch import ClientWatch
from rowcast_telemetry.spans import Tracer

DEFAULTS = ClaimOptions()


@dataclass(slots=True)
class Frontend:
    """One frontend process."""

    settings: Settings
    clients: ClientWatch
    models: Models
    journal: Journal = field(default_factory=NoJournal)  # of the sessions of all models
    background: Background = field(init=False)
    dials: Dials = field(init=False)
    pauses: Pauses = field(default_factory=Pauses)
    metrics: Metrics = field(default_factory=Metrics.private)
    reading: Reading = field(init=False)
    publishing: Publishing = field(init=False)
    # Serializes large bodies. Created late: this module is imported before gevent patches locks.
    parsing: threading.Lock = field(default_factory=lambda: threading.Lock())  # noqa: PLW0108
    tracer: Tracer | None = None  # None: nothing is traced
    stopping: bool = False  # open no more sessions

    def __post_init__(self) -> None:
        self.background = Background(self.journal.client, self.settings, self.models, self.tracer)
        self.reading = Reading(self.settings, self.models, self.journal.client)
        self.publishing = Publishing(self.metrics.recorder, self._state)
        self.pauses.on_tick = self.metrics.paused
        self.dials = Dials(self.models, self.settings.row_watchers)

    @property
    def default(self) -> ServedModel:
        """The model of requests that name none. Raises NotReady while it is not in memory."""
        slot = self.models.find(None)
        if slot.served is None:
            raise NotReady(slot.health().reason)
        return slot.served

    @property
    def listed(self) -> tuple[str, ...]:
        """The names of all models, as callers are shown them."""
        return self.models.listed

    @property
    def in_paths(self) -> tuple[str, ...]:
        """The names without a slash, which fit in a URL's path."""
        return tuple(name for name in self.models.names if "/" not in name)

    def model(
        self, name: str | None, request: Request, options: ClaimOptions = DEFAULTS
    ) -> ServedModel:
        """Return the model of this name for a request; the default one for None.

        It stays loaded until the request is closed. If it is not loaded, the request waits. Raises
        UnknownModel, Unavailable, ReplyCancelled, DeadlinePassed and StillLoading.
        """
        served = self.models.claim(name, request, options)
        if request.span is not None:
            request.span["gen_ai.request.model"] = name or served.listed[0]
            request.span[MODEL] = served.listed[0]
        return served

    def start(self) -> None:
        self.journal.start()
        self.clients.start()
        self.pauses.start()
        self.publishing.start()
        if self.tracer is not None:
            self.tracer.start()
        self.models.start()

    def stop(self) -> None:
        """Open no more sessions; open ones continue, except those of background requests."""
        self.stopping = True
        self.dials.stop()
        self.background.stop()
        self.models.stop()

    def close(self) -> None:
        self.background.close()
        self.dials.close()
        self.journal.close()
        self.models.close()
        self.clients.close()
        self.publishing.close()
        self.pauses.close()
        if self.tracer is not None:
            self.tracer.close()

    def health(self) -> Health:
        """Return whether the models that are loaded at the start would answer a prompt now."""
        current = self.models.current
        if not current:
            return Health(False, NONE_YET, None)
        if self.stopping:
            return Health(False, "the server is stopping", current[0].health().status)
        needed = [each.health() for each in current if each.build.load == "start"]
        default = current[0].health()
        missing = next((each for each in needed if not each.ready), None)
        if missing is not None:
            return Health(False, missing.reason, default.status)
        return Health(True, "ready", default.status)

    def _state(self) -> State:
        """Return what this process reports of itself in metrics."""
        return State(
            open_replies=self.models.open_replies,
            longest_pause=self.pauses.longest(),
            journal_works=self.journal.state in {None, "ok"},
            journal_lag=self.journal.lag,
        )

    @property
    def counts_room(self) -> bool:
        """True if any model has so little room that its backend reports every change."""
        return any(each.counts_room for each in self.models.current)

    def check_room(self, request: Request, in_path: str) -> None:
        """Refuse a new request while its model's waiting line is full, before its body is parsed.

        The body is read, since an answer before that would end the connection. A request with an
        idempotency key is exempt: its reply may already be recorded. `in_path`: the model in its
        path.
        """
        if request.has_key:
            return
        body = request.body.read()
        if self.counts_room and (slot := self.models.named_by(in_path, body)) is not None:
            slot.check_room(team=request.caller.team)
