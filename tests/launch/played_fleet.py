"""A fleet with simulated launchers, frontends and clock, in which nothing takes time.

`Played` does what a supervisor does, and checks what must always hold at each action.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field

import msgspec

from rowcast.launch.fleet.actions import Action, ConnectionId, GiveUp, Grant, Send, Start, Stop
from rowcast.launch.fleet.fleet import Fleet
from rowcast.launch.fleet.room import Room
from rowcast.launch.reports import Needs, Refused, Serving
from rowcast.models.build import Build
from rowcast.models.messages import (
    BuildState,
    Done,
    Drop,
    FromSupervisor,
    Held,
    Hello,
    Hold,
    Load,
    Snapshot,
    Unload,
)

MEMORY = 100
TICK = 0.25


def build(name: str, revision: str = "1", **words: object) -> Build:
    """Return a build, lazy unless `words` override it."""
    plain = Build(id=f"{name}{revision}", name=name, variables={}, load="lazy")
    return msgspec.structs.replace(plain, **words)


@dataclass
class Frontend:
    """A frontend that follows the protocol: what it holds, and its open requests."""

    number: ConnectionId
    shown: Snapshot | None = None
    held: dict[str, Build] = field(default_factory=dict)
    holding: dict[str, Build] = field(default_factory=dict)  # Hold was sent, Held is due
    requests: dict[str, int] = field(default_factory=dict)
    waiting: dict[str, int] = field(default_factory=dict)
    used: dict[str, float] = field(default_factory=dict)  # when the last request ended
    done: list[Done] = field(default_factory=list)

    def state(self, build: str) -> BuildState | None:
        builds = self.shown.builds if self.shown else ()
        return next((each for each in builds if each.build.id == build), None)


class Played:
    """A fleet and everything around it."""

    def __init__(self, needs: dict[str, int], memory: int = MEMORY, *, alone: bool = False) -> None:
        self.needs = needs
        self.memory = memory
        self.alone = alone
        self.now = 1000.0
        self.fleet = Fleet(Room(memory, alone=alone), lambda build: f"{build.id}.sock")
        self.frontends: dict[ConnectionId, Frontend] = {}
        self.launchers: dict[str, str] = {}  # builds whose launcher runs, and what it does
        self.broken: set[str] = set()  # builds that cannot be loaded
        self.history: list[Action] = []
        self.gave_up: int | None = None
        self._number = 0

    # What happens

    def connect(self, *holds: Build) -> Frontend:
        self._number += 1
        frontend = self.frontends[self._number] = Frontend(self._number)
        self.fleet.joined(self._number, self.now)
        frontend.holding = {each.id: each for each in holds}
        frontend.requests = {each.id: 1 for each in holds}
        self.fleet.received(self._number, Hello(self._number, holds), self.now)
        self.settle()
        return frontend

    def disconnect(self, frontend: Frontend) -> None:
        del self.frontends[frontend.number]
        self.fleet.gone(frontend.number, self.now)
        self.settle()

    def request(self, frontend: Frontend, name: str) -> None:
        """A request for a name begins, or waits until its build is ready."""
        state = self.current(name)
        self._claim(frontend, state.build)
        self.settle()

    def finish(self, frontend: Frontend, build: str, keep_alive: float | None = None) -> None:
        """One request of a build ends."""
        if frontend.requests.get(build):
            frontend.requests[build] -= 1
            frontend.used[build] = self.now
        self._drop_unused(frontend, keep_alive)
        self.settle()

    def load(self, frontend: Frontend, name: str) -> None:
        self.fleet.received(frontend.number, Load(1, name), self.now)
        self.settle()

    def unload(self, frontend: Frontend, name: str) -> None:
        self.fleet.received(frontend.number, Unload(1, name), self.now)
        self.settle()

    def list_builds(self, *builds: Build) -> None:
        self.fleet.list_builds(builds)
        self.settle()

    def serve(self, build: str) -> None:
        """A load ends well, or badly if the build is broken."""
        if self.launchers.get(build) != "loading":
            return
        if build in self.broken:
            self.fleet.reported(build, Refused("it is broken"), self.now)
            self.end(build, 2)
        else:
            self.launchers[build] = "serving"
            self.fleet.reported(build, Serving(f"print of {build}", 64), self.now)
            self.settle()

    def end(self, build: str, status: int) -> None:
        """A launcher ends."""
        if self.launchers.pop(build, None):
            self.fleet.ended(build, status, self.now)
            self.settle()

    def wait(self, seconds: float, *, loads: bool = True) -> None:
        """Let time pass; loads end, and what was stopped ends."""
        until = self.now + seconds
        while self.now < until:
            self.now += min(TICK, until - self.now)
            self.settle()
            if loads:
                for each in list(self.launchers):
                    self.serve(each)

    # What frontends see

    def shown(self) -> Snapshot:
        return self.fleet.snapshot(self.now)

    def current(self, name: str) -> BuildState:
        return next(e for e in self.shown().builds if e.current and e.build.name == name)

    def state(self, build: str) -> str:
        found = [each.state for each in self.shown().builds if each.build.id == build]
        return found[0] if found else "unknown"

    def states(self) -> dict[str, str]:
        return {each.build.id: each.state for each in self.shown().builds}

    def reserved(self) -> int:
        granted = (
            each for each, doing in self.launchers.items() if doing in {"loading", "serving"}
        )
        return sum(self.needs[each] for each in granted)

    # The supervisor's part

    def settle(self) -> None:
        """Do what is due until nothing is."""
        for _ in range(100):
            self.fleet.tick(self.now)
            actions = self.fleet.take(self.now)
            if not actions:
                self._check()
                return
            for action in actions:
                self._do(action)
        raise AssertionError("the fleet does not come to rest")

    def _do(self, action: Action) -> None:
        self.history.append(action)
        match action:
            case Start():
                assert action.build.id not in self.launchers
                self.launchers[action.build.id] = "starting"
                needs = Needs(self.needs[action.build.id], "weights")
                self.fleet.reported(action.build.id, needs, self.now)
            case Grant():
                assert self.launchers[action.build] == "starting"
                self.launchers[action.build] = "loading"
                assert self.reserved() <= self.memory or self.alone
            case Stop():
                self._stop(action.build)
            case Send():
                self._receive(self.frontends[action.connection], action.message)
            case GiveUp():
                self.gave_up = action.status

    def _stop(self, build: str) -> None:
        doing = self.launchers.pop(build)
        if doing == "serving":
            holders = [each.number for each in self.frontends.values() if build in each.held]
            assert not holders, f"{build} was stopped while {holders} hold it"
        self.fleet.ended(build, 0, self.now)

    def _receive(self, frontend: Frontend, message: FromSupervisor) -> None:
        match message:
            case Held():
                frontend.held[message.build] = frontend.holding.pop(message.build)
            case Snapshot():
                frontend.shown = message
            case Done():
                frontend.done.append(message)
        self._advance(frontend)

    # The frontends' part

    def _claim(self, frontend: Frontend, build: Build) -> None:
        frontend.waiting[build.id] = frontend.waiting.get(build.id, 0) + 1
        self._hold(frontend, build)
        self._advance(frontend)

    def _hold(self, frontend: Frontend, build: Build) -> None:
        if build.id not in frontend.held and build.id not in frontend.holding:
            frontend.holding[build.id] = build
            self.fleet.received(frontend.number, Hold(build), self.now)

    def _advance(self, frontend: Frontend) -> None:
        """Begin requests for ready builds, end those for failed ones, drop unused builds."""
        for build in list(frontend.held):
            state = frontend.state(build)
            waiting = frontend.waiting.get(build, 0)
            if state is None or not waiting:
                continue
            if state.state == "ready" or (state.state == "draining" and not state.current):
                frontend.requests[build] = frontend.requests.get(build, 0) + waiting
                frontend.waiting[build] = 0
            elif state.state == "failed":
                frontend.waiting[build] = 0
        self._drop_unused(frontend)

    def _drop_unused(self, frontend: Frontend, keep_alive: float | None = None) -> None:
        for build, held in list(frontend.held.items()):
            state = frontend.state(build)
            if state is None or state.pinned or frontend.requests.get(build):
                continue
            waiting = frontend.waiting.get(build, 0)
            leaves = state.state == "draining" and state.current
            if not waiting or leaves:
                del frontend.held[build]
                idle = self.now - frontend.used.get(build, self.now)
                self.fleet.received(frontend.number, Drop(build, idle, keep_alive), self.now)
                if waiting:
                    self._hold(frontend, held)

    # What must always hold

    def _check(self) -> None:
        names: Sequence[str] = [e.build.name for e in self.shown().builds if e.current]
        assert len(names) == len(set(names)), "two builds are current"
        assert self.reserved() <= self.memory or self.alone
