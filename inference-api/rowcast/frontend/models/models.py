"""The models of this process by name, and the claims of requests on them.

    claim(name, request, wish)   a ServedModel that stays loaded until `request.close()`; the
                                 request waits if its model must be loaded first
    receive(message)             what the supervisor sends: a Snapshot replaces the table of names
    load, unload, states         by hand

A claim on a build that is held costs a look into the table and a counter. The lock is the operating
system's and is never held during a wait: everything that waits, wakes others or takes long is done
after it was released (decision 68).
"""

import itertools
import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Protocol

import msgspec

from rowcast.errors import NotReady, Overloaded, RowcastError, Stopping, Unavailable, UnknownModel
from rowcast.frontend.models.slot import Names, Slot
from rowcast.frontend.models.supervision import FixedSupervision, Supervision
from rowcast.frontend.models.waiting import StillLoading, Wait, Wish
from rowcast.frontend.request.deadline import Deadline
from rowcast.frontend.request.request import Request
from rowcast.frontend.served_model import ALIAS, ServedModel
from rowcast.frontend.sessions.choice import brief_lock
from rowcast.models.build import Build
from rowcast.models.messages import (
    BuildState,
    Done,
    Drop,
    FromFrontend,
    FromSupervisor,
    Held,
    Hello,
    Hold,
    Load,
    Snapshot,
    Unload,
)
from rowcast.settings import Settings

_log = logging.getLogger("rowcast.models")

LOOK = 1 << 16  # bytes of the longest body that is searched for its model before it is parsed
HAND_SECONDS = 10.0  # for the supervisor's answer to Load and Unload
NONE_YET = "the supervisor of the models does not respond"


class Maker(Protocol):
    """Makes the text side and the sessions of a build, not started yet."""

    def __call__(self, build: Build, url: Callable[[], str], /) -> ServedModel:
        """`url()`: where its backend is now. Raises RowcastError, OSError and ValueError."""


class Models:
    """All models of one frontend process."""

    def __init__(
        self, settings: Settings, supervision: Supervision, make: Maker | None = None
    ) -> None:
        """`make` is called in a thread of its own."""
        self.problem = ""  # with the file of models
        self.memory = 0
        self._settings = settings
        self._supervision = supervision
        self._make = make
        self._slots: dict[str, Slot] = {}  # by the builds' ids
        self._current: tuple[Slot, ...] = ()  # the default model's first
        self._table: Mapping[str, Slot] = {}  # the current ones, by each of their names
        self._numbers = itertools.count(1)
        self._answers: dict[int, _Answer] = {}
        self._stopping = False
        self._lock = brief_lock()
        self._after: list[Callable[[], object]] = []  # to be called once the lock is released

    def start(self) -> None:
        for slot in self._current:
            if slot.served is not None:
                slot.served.start()
        self._supervision.start(self)

    def stop(self) -> None:
        """Open no more sessions; open ones continue."""
        with self._step():
            self._stopping = True
            for slot in self._slots.values():
                self._refuse(slot, Stopping("the server is stopping"))
                if slot.served is not None:
                    slot.served.sessions.stop()

    def close(self) -> None:
        self._supervision.close()
        for slot in self._slots.values():
            if slot.served is not None:
                slot.served.close()

    # What is there

    @property
    def current(self) -> tuple[Slot, ...]:
        """The build of each name to which new requests go, the default model's first."""
        return self._current

    @property
    def names(self) -> tuple[str, ...]:
        """Every name by which a request may call a model."""
        return tuple(self._table)

    @property
    def listed(self) -> tuple[str, ...]:
        """The names of all models, as callers are shown them."""
        shown = (name for each in self._current for name in each.names.listed)
        aliases = (name for name, each in self._table.items() if name in each.names.aliases)
        both = [*shown, *aliases, *([ALIAS] if ALIAS in self._table else [])]
        order = {id(each): at for at, each in enumerate(self._current)}
        return tuple(sorted(dict.fromkeys(both), key=lambda name: order[id(self._table[name])]))

    def names_of(self, slot: Slot) -> tuple[str, ...]:
        """The names of one of them, as callers are shown them."""
        table = self._table
        return tuple(name for name in self.listed if table.get(name) is slot)

    def states(self) -> tuple[BuildState, ...]:
        """Return what the supervisor knows of all builds, the current ones first."""
        slots = sorted(self._slots.copy().values(), key=lambda each: not each.state.current)
        return tuple(each.state for each in slots)

    def find(self, name: str | None) -> Slot:
        """Return the current build of a name; the default model's for None."""
        if not self._current:
            raise NotReady(NONE_YET)
        if name is None:
            return self._current[0]
        if name not in self._table:
            raise UnknownModel(
                f"The model {name[:80]!r} does not exist; available: {', '.join(self.listed)}"
            )
        return self._table[name]

    def named_by(self, in_path: str, body: bytes) -> Slot | None:
        """Return the current build that a request for rows means; None if that is not clear.

        `in_path`: the name in its path, which may be that of a route.
        """
        if len(self._current) == 1:
            return self._current[0]
        if in_path in self._table:
            return self._table[in_path]
        if len(body) > LOOK or not self._current:
            return None
        name = named_in(body)
        return self._table.get(name) if name else self._current[0]

    def adopt(self, slots: Sequence[Slot]) -> None:
        """Take builds that need no supervisor."""
        self._slots = {each.build.id: each for each in slots}
        self._name(tuple(slots))

    # Claims

    def claim(self, name: str | None, request: Request, wish: Wish) -> ServedModel:
        """Return a model for this request, until its response was sent.

        Waits while the model is being loaded. Raises UnknownModel, Unavailable, ReplyCancelled and
        DeadlinePassed; StillLoading if an event stream may begin meanwhile.
        """
        slot = self._recorded(request) or self.find(name)
        with self._lock:
            served = slot.usable
            if served is not None:
                slot.claims += 1
                slot.keep_alive = wish.keep_alive
        if served is not None:
            request.claims.callback(self._release, slot)
            return served
        wait = self._enter(slot, request, wish)
        request.claims.callback(self._leave, wait)
        with request.watching(wait.client_left):
            over = wait.over(self._settings.comment_seconds if wish.events else float("inf"))
        served = wait.slot.served
        if not over or served is None:
            raise StillLoading(wait)
        return served

    def _recorded(self, request: Request) -> Slot | None:
        """Return the build that began a recorded request, if it is still there."""
        if request.record is None:
            return None
        with self._lock:
            slots = list(self._slots.values())
        slots.sort(key=lambda each: not each.state.current)
        return next((each for each in slots if each.version == request.record.build), None)

    def _enter(self, slot: Slot, request: Request, wish: Wish) -> Wait:
        """Let a request wait for a build. Raises Unavailable."""
        deadline = Deadline.read(request.headers, wish.timeout, request.began)
        wait = Wait(slot, deadline, self._settings.load_seconds)
        limit = max(1, self._settings.waiting_line)
        with self._step():
            if self._stopping:
                raise Stopping("the server is stopping")
            if failure := slot.failure:
                raise failure
            if len(slot.waits) >= limit:
                raise Overloaded(
                    f"{limit} requests wait until the model {slot.name!r} is loaded, which is the "
                    "limit; try again later",
                    5,
                )
            slot.waits.add(wait)
            slot.keep_alive = wish.keep_alive
            self._settle(slot)
            self._move_waits()
        return wait

    def _leave(self, wait: Wait) -> None:
        """End a request's wait, or its use of the build."""
        with self._step():
            if wait.granted:
                wait.slot.end_claim()
            else:
                wait.slot.waits.discard(wait)
            self._settle(wait.slot)

    def _release(self, slot: Slot) -> None:
        with self._lock:
            slot.end_claim()
            idle = not slot.claims and not slot.may_stay
        if idle:
            with self._step():
                self._settle(slot)

    # What the supervisor sends

    def connected(self, begin: Callable[[Hello], None]) -> None:
        with self._lock:
            holds = tuple(each.build for each in self._slots.values() if each.wanted)
            begin(Hello(os.getpid(), holds))

    def lost(self) -> None:
        """Nothing is certain to be held until the next connection; requests in flight go on."""
        with self._step():
            for slot in self._slots.values():
                slot.held = False
            for answer in list(self._answers.values()):
                answer.give("the supervisor of the models has ended")

    def receive(self, message: FromSupervisor) -> None:
        with self._step():
            match message:
                case Snapshot():
                    self._take(message)
                case Held():
                    slot = self._slots.get(message.build)
                    if slot is not None and slot.wanted:
                        slot.held = True
                        self._settle(slot)
                case Done():
                    if message.number in self._answers:
                        self._answers[message.number].give(message.problem)

    def _take(self, snapshot: Snapshot) -> None:
        """Bring all builds to this state, and the table of names, in one step."""
        self.problem, self.memory = snapshot.problem, snapshot.memory
        for slot in self._slots.values():
            slot.listed = False
        for state in snapshot.builds:
            if state.build.id not in self._slots:
                names = Names.of(state.build, state.build.settings(self._settings))
                self._slots[state.build.id] = Slot(state, names)
            self._slots[state.build.id].update(state)
        current = [each.build.id for each in snapshot.builds if each.current]
        self._name(tuple(self._slots[each] for each in current))
        self._move_waits()
        for slot in list(self._slots.values()):
            if slot.serves and slot.served is not None and slot.greeted != slot.state.loads:
                self._after.append(slot.served.sessions.hurry)
            if slot.state.pinned and slot.build.load == "start" and not slot.wanted:
                self._hold(slot)
            self._settle(slot)

    def _name(self, current: tuple[Slot, ...]) -> None:
        """Replace the table. A model's own name goes before all others'."""
        table: dict[str, Slot] = {}
        for group in zip(*(each.names.ranked for each in current), strict=True):
            for slot, names in zip(current, group, strict=True):
                for name in names:
                    table.setdefault(name, slot)
        if current:
            table.setdefault(ALIAS, current[0])
        self._current, self._table = current, table

    def _move_waits(self) -> None:
        """Let the requests that wait for a replaced build wait for its successor."""
        current = {each.name: each for each in self._current}
        for slot in self._slots.values():
            new = current.get(slot.name)
            if slot.waits and slot is not new and not slot.is_loaded:
                self._move(slot, new)

    def _move(self, slot: Slot, new: Slot | None) -> None:
        if new is None:
            self._refuse(slot, UnknownModel(f"the model {slot.name!r} is not served any more"))
            return
        for wait in slot.waits:
            wait.slot = new
        new.waits |= slot.waits
        slot.waits.clear()

    # One build

    def _settle(self, slot: Slot) -> None:
        """Do what a build's new state, or that of its requests, makes due."""
        if slot.usable is not None:
            self._grant(slot)
        elif slot.waits and (failure := slot.failure):
            self._refuse(slot, failure)
        if slot.must_drop:
            idle = time.monotonic() - slot.ended
            slot.drop()
            self._supervision.send(Drop(slot.build.id, idle, slot.keep_alive))
        if slot.must_hold:
            self._hold(slot)
        if slot.must_be_made and self._make is not None:
            slot.is_being_made = True
            self._after.append(partial(_in_thread, partial(self._make_served, slot, self._make)))
        if slot.must_close and slot.served is not None:
            self._after.append(partial(_in_thread, slot.served.close))
            slot.served, slot.greeted = None, -1
        if not slot.listed and not (slot.wanted or slot.claims or slot.waits or slot.is_being_made):
            self._slots.pop(slot.build.id, None)

    def _hold(self, slot: Slot) -> None:
        slot.wanted = True
        self._supervision.send(Hold(slot.build))

    def _grant(self, slot: Slot) -> None:
        slot.claims += len(slot.waits)
        for wait in slot.waits:
            wait.granted = True
            self._after.append(wait.wake)
        slot.waits.clear()

    def _refuse(self, slot: Slot, error: RowcastError) -> None:
        for wait in slot.waits:
            wait.refused = error
            self._after.append(wait.wake)
        slot.waits.clear()

    def _make_served(self, slot: Slot, make: Maker) -> None:
        served, fault = None, ""
        try:
            served = make(slot.build, lambda: slot.state.url)
            served.start(partial(self._greeted, slot))
        except (RowcastError, OSError, ValueError) as error:
            fault = str(error)
            _log.error("model=%s text side not loaded: %s", slot.name, fault)
        except Exception:  # noqa: BLE001  # whatever it is, other models are served
            _log.exception("model=%s text side not loaded", slot.name)
            fault = "its tokenizer or template cannot be loaded; see the server's log"
        with self._step():
            slot.is_being_made, slot.served = False, served
            if fault:
                slot.note_fault(fault)
            if served is not None and self._stopping:
                served.sessions.stop()
            slot.note_greeting()
            self._settle(slot)

    def _greeted(self, slot: Slot) -> None:
        with self._step():
            slot.note_greeting()
            self._settle(slot)

    # By hand

    def load(self, name: str) -> str:
        """Have a model loaded; return the problem, "" if it will be done. Raises UnknownModel."""
        number = next(self._numbers)
        return self._order(number, Load(number, self.find(name).name))

    def unload(self, name: str) -> str:
        """Have a model unloaded as soon as nobody uses it; return as `load`."""
        number = next(self._numbers)
        return self._order(number, Unload(number, self.find(name).name))

    def _order(self, number: int, message: FromFrontend) -> str:
        answer = self._answers[number] = _Answer()
        try:
            self._supervision.send(message)
            return answer.wait()
        finally:
            del self._answers[number]

    @contextmanager
    def _step(self) -> Iterator[None]:
        """Do one step under the lock, then what it made due."""
        after: Sequence[Callable[[], object]] = ()
        try:
            with self._lock:
                try:
                    yield
                finally:
                    after, self._after = self._after, []
        finally:
            for each in after:
                each()


def _in_thread(work: Callable[[], object]) -> None:
    threading.Thread(target=work, name="model-text", daemon=True).start()


class _Answer:
    """The answer to one Load or Unload."""

    def __init__(self) -> None:
        self._arrived = threading.Event()
        self._problem = ""

    def give(self, problem: str) -> None:
        self._problem = problem
        self._arrived.set()

    def wait(self) -> str:
        if not self._arrived.wait(HAND_SECONDS):
            raise Unavailable(NONE_YET)
        return self._problem


class _Named(msgspec.Struct):
    """What is read of a body to find its model."""

    model: str | None = None


def named_in(body: bytes) -> str | None:
    """Return the model that a body names."""
    try:
        return msgspec.json.decode(body, type=_Named).model
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None  # whoever parses the body reports what is wrong with it


def fixed(settings: Settings, *served: ServedModel) -> Models:
    """Return models that are always held and ready, the default one first."""
    models = Models(settings, FixedSupervision())
    slots = []
    for number, each in enumerate(served):
        names = Names.of_served(each)
        build = Build(id=f"fixed-{number}", name=names.own, variables={})
        slot = Slot(
            BuildState(build=build, state="ready", url="", current=True, pinned=True), names
        )
        slot.wanted = slot.held = True
        slot.served, slot.greeted = each, slot.state.loads
        slots.append(slot)
    models.adopt(slots)
    return models
