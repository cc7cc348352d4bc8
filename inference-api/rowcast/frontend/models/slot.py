"""One build in one frontend process: its last known state, and who uses it here.

    not held ──Hold──▶ wanted ──Held──▶ held ──Drop──▶ not held

A build may be used while it is held and serves, and its text side is in memory. `claims` counts the
requests that use it; `waits` has those that wait for it. A `Slot` only decides: `Builds` has the
lock, sends the messages and wakes the requests.
"""

import math
import time
from dataclasses import dataclass
from typing import Protocol, Self

from rowcast.errors import NotReady, RowcastError
from rowcast.frontend.models.reasons import without_paths
from rowcast.frontend.served_model import ALIAS, ServedModel
from rowcast.frontend.sessions.demultiplexer import Health
from rowcast.journal.record import build_version
from rowcast.models.build import Build
from rowcast.models.messages import BuildState, State
from rowcast.settings import Settings

_WORDS: dict[State, str] = {
    "unloaded": "it is not loaded",
    "loading": "loading",
    "draining": "it waits until the last sessions of this build have ended",
    "ready": "its tokenizer is being loaded",
    "failed": "it cannot be loaded",
}
FAULT_SECONDS = 5.0  # until the next try to load a text side


class Waiting(Protocol):
    """A request that waits until a build may be used; see `waiting`."""

    slot: "Slot"
    recorded: bool
    granted: bool
    refused: RowcastError | None

    def wake(self) -> None:
        """Wake the request: it was granted or refused."""


@dataclass(frozen=True, slots=True)
class Names:
    """The names of one model."""

    own: str  # its short name in the file of models
    listed: tuple[str, ...]  # those that lists show, its own first; no paths on this machine
    aliases: tuple[str, ...]
    others: tuple[str, ...]  # its path or hub id, and parts of these

    @property
    def ranked(self) -> tuple[tuple[str, ...], ...]:
        """All names in groups; a name in an earlier group has precedence over a later one."""
        return (self.own,), self.aliases, self.others

    @classmethod
    def of(cls, build: Build, server: Settings) -> Self:
        """Return the names of a build. `server`: the server's settings."""
        try:
            own = build.settings(server).replaced(model_name=build.name)
        except ValueError:  # requests for it are refused with the reason
            return cls(build.name, (build.name,), build.aliases, ())
        return cls(build.name, own.listed_names, build.aliases, own.names)

    @classmethod
    def of_served(cls, served: ServedModel) -> Self:
        aliases = tuple(each for each in served.aliases if each != ALIAS)
        return cls(served.listed[0], served.listed, aliases, served.names)


class Slot:
    """One build, as this process uses it."""

    def __init__(self, state: BuildState, names: Names) -> None:
        self.names = names
        self.listed = True  # in the last Snapshot
        self.recalled = False  # for a recorded stream; the supervisor may not know it yet
        self.claims = 0
        self.waits: set[Waiting] = set()
        self.wanted = False  # Hold was sent, and no Drop since
        self.held = False  # and Held was received
        self.served: ServedModel | None = None
        self.is_being_made = False
        self.greeted = -1  # the number of the last load whose backend has sent a Status
        self.keep_alive: float | None = None  # as the last request named it
        self.ended = time.monotonic()  # when the last request ended
        self._fault, self._faulty_until = "", 0.0
        self._has_left = False  # dropped once while it drains
        self.state, self._received = state, time.monotonic()

    @property
    def name(self) -> str:
        return self.names.own

    @property
    def build(self) -> Build:
        return self.state.build

    @property
    def version(self) -> str:
        """The fingerprint and context length, as in a record's `build`."""
        return build_version(self.state.fingerprint, self.state.context_length)

    @property
    def doing(self) -> str:
        """The stage of its load, in parentheses, to append to a message."""
        return f" ({self.state.stage})" if self.state.stage else ""

    @property
    def serves(self) -> bool:
        """True if its backend takes prompts; an old build's does until its last session ends."""
        known = self.state
        return known.state == "ready" or (known.state == "draining" and not known.current)

    @property
    def has_backend(self) -> bool:
        """True if its backend runs, though it may take no new requests."""
        return self.state.state in {"ready", "draining"}

    @property
    def is_loaded(self) -> bool:
        """True if it is loaded or loading."""
        return self.state.state in {"loading", "ready"} or self.serves

    @property
    def usable(self) -> ServedModel | None:
        """The model, if a request may use it now."""
        if self.held and self.serves and self.greeted == self.state.loads:
            return self.served
        return None

    def update(self, state: BuildState) -> bool:
        """Take the state from a new Snapshot; return True if the last backend was stopped."""
        before = self.state.loads if self.has_backend else -1
        self.state, self._received, self.listed = state, time.monotonic(), True
        if state.state != "draining":
            self._has_left = False
        if before >= 0 and (not self.has_backend or state.loads != before):
            self.greeted = -1
            return True
        self.note_greeting()
        return False

    def note_greeting(self) -> None:
        """Note it if the backend of the present load has sent its first Status."""
        if self.serves and self.served is not None and self.served.sessions.health().ready:
            self.greeted = self.state.loads

    def note_fault(self, fault: str) -> None:
        """Store why the text side cannot be loaded."""
        self._fault, self._faulty_until = fault, time.monotonic() + FAULT_SECONDS

    def health(self) -> Health:
        """Return whether a prompt sent now would be answered."""
        if self.state.state == "failed":
            return Health(False, self.state.reason or "it cannot be loaded", None)
        if self.served is not None:
            return self.served.sessions.health()
        return Health(False, self.fault or self.state.stage or _WORDS[self.state.state], None)

    @property
    def counts_room(self) -> bool:
        """True if there is so little room that the backend reports every change."""
        return self.served is not None and self.served.sessions.counts_room

    def check_room(self, *, team: str, coming: int = 0) -> None:
        """Raise Overloaded if the backend would refuse the request; see `Sessions.check_room`."""
        if self.served is not None:
            self.served.sessions.check_room(team=team, coming=coming)

    @property
    def fault(self) -> str:
        """Why the text side could not be loaded; "" once that may be tried again."""
        return self._fault if time.monotonic() < self._faulty_until else ""

    @property
    def failure(self) -> NotReady | None:
        """The error of requests for it until the next try; None if there is no failure."""
        if self.fault:
            fault = without_paths(self.fault)
            return NotReady(f"the model {self.name!r} cannot be used: {fault}", 5)
        left = self._received + self.state.retry_seconds - time.monotonic()
        if self.state.state != "failed" or left <= 0:
            return None
        reason = without_paths(self.state.reason) or "no reason is known"
        return NotReady(f"the model {self.name!r} cannot be loaded: {reason}", math.ceil(left))

    @property
    def must_hold(self) -> bool:
        """True if requests wait for it and Hold was not sent."""
        return bool(self.waits) and not self.wanted

    @property
    def must_drop(self) -> bool:
        """True if no request uses it, and it may not be held without one.

        If requests wait for a build that drains, it is dropped once and held again: the supervisor
        loads it again when there is room.
        """
        if not self.held or self.claims or self.may_stay:
            return False
        if self.waits:
            return self.state.state == "draining" and self.state.current and not self._has_left
        return True

    @property
    def may_stay(self) -> bool:
        """True if it may be held without a request that uses it."""
        return self.listed and self.state.pinned

    def end_claim(self) -> None:
        """Count one request less."""
        self.claims -= 1
        self.ended = time.monotonic()

    def drop(self) -> None:
        """Note that Drop is sent."""
        self.wanted = self.held = False
        self._has_left = self.state.state == "draining"

    @property
    def must_be_made(self) -> bool:
        """True if the text side must be loaded now."""
        needed = bool(self.waits) or (self.build.load == "start" and self.is_loaded)
        return needed and self.served is None and not self.is_being_made and not self.fault

    @property
    def must_close(self) -> bool:
        """True if the text side must be removed from memory."""
        used = self.held or self.wanted or self.claims or self.waits
        return self.served is not None and not used and not (self.listed and self.is_loaded)
