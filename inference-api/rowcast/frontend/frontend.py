"""One frontend process: its settings, client watch, journal, pause meter, and served models.

    served = frontend.model(name)        a `ServedModel`, or UnknownModel

A dialect's function receives it with each request.
"""

import threading
from collections.abc import Mapping
from dataclasses import dataclass, field

from rowcast.errors import UnknownModel
from rowcast.frontend.listening.pauses import Pauses
from rowcast.frontend.request.request import Request
from rowcast.frontend.served_model import ServedModel
from rowcast.frontend.sessions.demultiplexer import Health
from rowcast.frontend.sessions.journal import Journal, NoJournal
from rowcast.settings import SCRIPTED, Settings
from rowcast_http.client_watch import ClientWatch


@dataclass(slots=True)
class Frontend:
    """One frontend process."""

    settings: Settings
    clients: ClientWatch
    served: Mapping[str, ServedModel]  # by each of its names; the default one first
    journal: Journal = field(default_factory=NoJournal)  # of the sessions of all models
    pauses: Pauses = field(default_factory=Pauses)
    # Serializes large bodies. Created late: this module is imported before gevent patches locks.
    parsing: threading.Lock = field(default_factory=lambda: threading.Lock())  # noqa: PLW0108
    stopping: bool = False  # open no more sessions

    @property
    def models(self) -> tuple[ServedModel, ...]:
        """The served models, each once."""
        return tuple({id(each): each for each in self.served.values()}.values())

    @property
    def default(self) -> ServedModel:
        """The model of requests that name none."""
        return next(iter(self.served.values()))

    @property
    def listed(self) -> tuple[str, ...]:
        """The names of all models, as callers are shown them."""
        shown = (name for each in self.models for name in (*each.listed, *each.aliases))
        return tuple(dict.fromkeys(shown))

    @property
    def in_paths(self) -> tuple[str, ...]:
        """The names without a slash, which fit in a URL's path."""
        return tuple(name for name in self.served if "/" not in name)

    def model(self, name: str | None) -> ServedModel:
        """Return the model of this name; the default one for None. Raises UnknownModel."""
        if name is None:
            return self.default
        if name not in self.served:
            raise UnknownModel(
                f"The model {name[:80]!r} does not exist; available: {', '.join(self.listed)}"
            )
        return self.served[name]

    def start(self) -> None:
        self.journal.start()
        self.clients.start()
        self.pauses.start()
        helpers = self.settings.served_model != SCRIPTED  # its users rarely need them
        for each in self.models:
            each.start(helpers=helpers)

    def stop(self) -> None:
        """Open no more sessions; open ones continue."""
        self.stopping = True
        for each in self.models:
            each.sessions.stop()

    def health(self) -> Health:
        """Return whether a prompt sent now would be answered."""
        return self.default.sessions.health()

    @property
    def counts_room(self) -> bool:
        """True if a model has so little room that its backend reports every change."""
        return any(each.sessions.counts_room for each in self.models)

    def close(self) -> None:
        self.journal.close()
        for each in self.models:
            each.close()
        self.clients.close()
        self.pauses.close()

    def check_room(self, request: Request) -> None:
        """Refuse a new request while the waiting line is full, before its body is parsed.

        The body is read, since an answer before that would end the connection. A request with an
        idempotency key is exempt: its reply may already be recorded.
        """
        if not request.has_key:
            request.body.read()
            self.default.sessions.check_room(team=request.caller.team)


def by_name(*models: ServedModel) -> dict[str, ServedModel]:
    """Return the models by each of their names."""
    return {name: each for each in models for name in (*each.names, *each.aliases)}
