"""The builds of this process: what a message, a request or a made text side changes in them.

    receive(message)      a Snapshot brings all builds to their new state, and the table of names
    use, release          a request that uses a build
    enter, leave          a request that waits for one

Each ends by doing what has become due: Hold, Drop, waking requests, making and closing text sides.

The lock is the operating system's and is never held during a wait: whatever waits, wakes others or
takes long is done after it was released (decision 68).
"""

import logging
import os
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import copy
from functools import partial
from typing import Protocol

from rowcast.errors import Overloaded, RowcastError, Stopping, UnknownModel
from rowcast.frontend.models.recipes import Recipes
from rowcast.frontend.models.slot import Names, Slot, Waiting
from rowcast.frontend.models.supervision import Supervision
from rowcast.frontend.models.table import Table
from rowcast.frontend.models.waiting import Wait
from rowcast.frontend.served_model import ServedModel
from rowcast.frontend.sessions.choice import brief_lock
from rowcast.models.build import Build
from rowcast.models.messages import BuildState, Drop, Held, Hello, Hold, Snapshot
from rowcast.settings import Settings

_log = logging.getLogger("rowcast.models")

LOAD_SECONDS = 5  # after which a request that may not wait for a load may be sent again


class Maker(Protocol):
    """Makes the text side and the sessions of a build, not started yet."""

    def __call__(self, build: Build, url: Callable[[], str], /) -> ServedModel:
        """`url()`: where its backend is now. Raises RowcastError, OSError and ValueError."""


class Builds:
    """All builds that this process uses, or may use."""

    def __init__(
        self,
        settings: Settings,
        supervision: Supervision,
        make: Maker | None,
        recipes: Recipes,
    ) -> None:
        """`make` is called in a thread of its own."""
        self.table = Table()
        self.snapshot = Snapshot(())
        self.slots: dict[str, Slot] = {}  # by the builds' ids
        self._settings = settings
        self._supervision = supervision
        self._make = make
        self._recipes = recipes
        self._stopping = False
        self._lock = brief_lock()
        self._after: list[Callable[[], object]] = []  # to be called once the lock is released

    def adopt(self, slots: Sequence[Slot]) -> None:
        """Take builds that need no supervisor."""
        self.slots = {each.build.id: each for each in slots}
        self.table = Table.of(slots)

    def start(self) -> None:
        for slot in self.all():
            if slot.served is not None:
                slot.served.start()

    def stop(self) -> None:
        """Open no more sessions; open ones continue."""
        with self._step():
            self._stopping = True
            for slot in self.slots.values():
                self._refuse(slot, Stopping("the server is stopping"))
                if slot.served is not None:
                    slot.served.sessions.stop()

    def close(self) -> None:
        for slot in self.all():
            if slot.served is not None:
                slot.served.close()

    def all(self) -> list[Slot]:
        """Return all builds, the current ones first."""
        with self._lock:
            return sorted(self.slots.values(), key=lambda each: not each.state.current)

    def recall(self, version: str) -> Slot | None:
        """Return the build of a fingerprint and context, if it can still be loaded as it was."""
        found = (each for each in self.all() if each.version == version)
        return next(found, None) or self._recipes.recall(version)

    # Requests

    def use(self, slot: Slot, keep_alive: float | None) -> ServedModel | None:
        """Count a request that uses a build; None if the build may not be used now."""
        with self._lock:
            served = slot.usable
            if served is not None:
                slot.claims += 1
                slot.keep_alive = keep_alive
            return served

    def release(self, slot: Slot) -> None:
        """Count a request less that uses a build."""
        with self._lock:
            slot.end_claim()
            idle = not slot.claims and not slot.may_stay
        if idle:
            with self._step():
                self._settle(slot)

    def enter(self, wait: Wait, keep_alive: float | None) -> None:
        """Let a request wait for its build. Raises Unavailable and UnknownModel."""
        limit = max(1, self._settings.waiting_line)  # one may wait for a loaded build to be held
        with self._step():
            if self._stopping:
                raise Stopping("the server is stopping")
            slot = wait.slot = self._place_for(wait)
            if failure := slot.failure:
                raise failure
            if len(slot.waits) >= limit:
                raise Overloaded(
                    f"{limit} requests wait until the model {slot.name!r} is loaded, which is the "
                    "limit; try again later",
                    LOAD_SECONDS,
                )
            slot.waits.add(wait)
            slot.keep_alive = keep_alive
            self._settle(slot)
            if not self._settings.waiting_line and not slot.serves:
                self._refuse_wait(slot, wait)

    def _refuse_wait(self, slot: Slot, wait: Wait) -> None:
        """Refuse a request that has begun a load, if none may wait. The load continues."""
        slot.waits.discard(wait)
        self._settle(slot)
        raise Overloaded(
            f"the model {slot.name!r} is being loaded, and no request may wait (WAITING_LINE is "
            "0); try again later",
            LOAD_SECONDS,
        )

    def leave(self, wait: Wait) -> None:
        """End a request's wait, or its use of the build."""
        with self._step():
            if wait.granted:
                wait.slot.end_claim()
            else:
                wait.slot.waits.discard(wait)
            self._settle(wait.slot)

    def _place_for(self, wait: Waiting) -> Slot:
        """Return the build for which a request should wait: the current one of its name.

        A stream that is resumed waits for the build that began it, as long as that can be loaded.
        """
        slot = wait.slot
        if wait.recorded and slot.recalled:
            return self.slots.setdefault(slot.build.id, slot)
        stays = slot.state.current or (wait.recorded and slot.is_loaded)
        if stays and self.slots.get(slot.build.id) is slot:
            return slot
        found = next((each for each in self.table.current if each.name == slot.name), None)
        if found is None:
            raise UnknownModel(f"the model {slot.name!r} is not served any more")
        return found

    # What the supervisor sends

    def connected(self, begin: Callable[[Hello], None]) -> None:
        with self._lock:
            begin(
                Hello(os.getpid(), tuple(each.build for each in self.slots.values() if each.wanted))
            )

    def lost(self) -> None:
        """Nothing is certain to be held until the next connection; requests in flight go on."""
        with self._lock:
            for slot in self.slots.values():
                slot.held = False

    def receive(self, message: Snapshot | Held) -> None:
        if isinstance(message, Snapshot):
            changed = [each.build for each in message.builds if self._is_changed(each.build)]
            names = {each.id: Names.of(each, self._settings) for each in changed}
            with self._step():
                self._take(message, names)
            return
        with self._step():
            slot = self.slots.get(message.build)
            if slot is not None and slot.wanted:
                slot.held = True
                self._settle(slot)

    def _is_changed(self, build: Build) -> bool:
        """True if it is unknown, or its entry has changed in something that makes no new build."""
        slot = self.slots.get(build.id)
        return slot is None or slot.build != build

    def _take(self, snapshot: Snapshot, names: Mapping[str, Names]) -> None:
        """Bring all builds to this state, and the table of names, in one step."""
        self.snapshot = snapshot
        for slot in self.slots.values():
            slot.listed = False
        for state in snapshot.builds:
            self._update(state, names)
        current = [each.build.id for each in snapshot.builds if each.current]
        self.table = Table.of([self.slots[each] for each in current])
        for slot in list(self.slots.values()):
            self._move_waits(slot)
            if slot.serves and slot.served is not None and slot.greeted != slot.state.loads:
                self._after.append(slot.served.sessions.hurry)
            if slot.state.pinned and slot.build.load == "start" and not slot.wanted:
                self._hold(slot)
        for slot in list(self.slots.values()):
            self._settle(slot)

    def _update(self, state: BuildState, names: Mapping[str, Names]) -> None:
        """Bring one build to this state."""
        if state.build.id not in self.slots:
            self.slots[state.build.id] = Slot(state, names[state.build.id])
        slot = self.slots[state.build.id]
        slot.names = names.get(state.build.id, slot.names)
        if slot.update(state) and slot.served is not None:
            self._after.append(slot.served.sessions.forget_backend)

    def _move_waits(self, slot: Slot) -> None:
        """Let requests that wait for a build that was replaced wait for its successor."""
        for wait in list(slot.waits):
            try:
                new = self._place_for(wait)
            except UnknownModel as gone:
                self._refuse(slot, gone)
                return
            if new is not slot:
                slot.waits.discard(wait)
                new.waits.add(wait)
                wait.slot = new

    # One build

    def _settle(self, slot: Slot) -> None:
        """Do what a build's new state, or that of its requests, makes due."""
        if slot.usable is not None:
            self._grant(slot)
            self._after.append(partial(self._recipes.store, slot))
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
            self.slots.pop(slot.build.id, None)

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
            wait.refused = copy(error)
            self._after.append(wait.wake)
        slot.waits.clear()

    def _make_served(self, slot: Slot, make: Maker) -> None:
        served, fault = None, ""
        try:
            served = make(slot.build, lambda: slot.state.url)
            try:
                served.start(partial(self._greeted, slot))
            except BaseException:
                half, served = served, None
                half.close()
                raise
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
