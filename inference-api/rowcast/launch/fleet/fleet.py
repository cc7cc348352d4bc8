"""Which builds are loaded: messages, reports, catalogs and time in; actions out.

    joined, gone, received          frontends: Hello, Hold, Drop, Load, Unload
    reported, ended                 launchers
    list_builds, problem            the file of models
    tick                            time
    take() ──▶ Start, Grant, Stop   for launchers
               Send                 Snapshot at each change, then Held and Done
               GiveUp               a server of one build that cannot be served ends

A build that a frontend holds is never stopped. A Hold that comes while it is being stopped, or has
to leave for another, is answered once it has ended. `room` decides about memory.
"""

import logging
import math
from collections.abc import Callable, Sequence

import msgspec

from rowcast.launch.exit_status import GIVEN_UP, how
from rowcast.launch.fleet.actions import Action, ConnectionId, GiveUp, Grant, Send, Start, Stop
from rowcast.launch.fleet.member import Member, Order
from rowcast.launch.fleet.room import Room
from rowcast.launch.reports import BackendEnded, Needs, Refused, Report, Serving, Stage
from rowcast.models.build import Build
from rowcast.models.messages import (
    Done,
    Drop,
    FromFrontend,
    Held,
    Hello,
    Hold,
    Load,
    Snapshot,
    Unload,
)

_log = logging.getLogger("rowcast.launch")

RETRIES = (5.0, 30.0, 120.0)  # seconds until the next load, after loads that failed in a row
MOST_CRASHES = 3  # of one load; then it has failed
RESTART_SECONDS = 0.5  # after a launcher was killed
KILL_SECONDS = 15.0  # after which a launcher that should end is killed


class Fleet:
    """All builds of one server."""

    def __init__(self, room: Room, url_of: Callable[[Build], str]) -> None:
        self._room = room
        self._url_of = url_of
        self._members: dict[str, Member] = {}
        self._names: tuple[str, ...] = ()  # of the file of models, in its order
        self._listed: frozenset[str] = frozenset()  # the builds that it names
        self._problem = ""
        self._connections: set[ConnectionId] = set()
        self._actions: list[Action] = []
        self._answers: list[Send] = []  # sent after the Snapshot that precedes them
        self._shown: Snapshot | None = None

    # Frontends

    def joined(self, connection: ConnectionId, now: float) -> None:
        self._connections.add(connection)
        self._actions.append(Send(connection, self.snapshot(now)))

    def gone(self, connection: ConnectionId, now: float) -> None:
        self._connections.discard(connection)
        self._answers = [each for each in self._answers if each.connection != connection]
        for member in self._members.values():
            self._drop(connection, member, now)

    def received(self, connection: ConnectionId, message: FromFrontend, now: float) -> None:
        match message:
            case Hello():
                for build in message.holds:
                    self._hold(connection, self._known(build), now)
            case Hold():
                self._hold(connection, self._known(message.build), now)
            case Drop():
                if member := self._members.get(message.build):
                    self._drop(connection, member, now, message.idle_seconds, message.keep_alive)
            case Load():
                problem = self._load_by_hand(message.name, now)
                self._answers.append(Send(connection, Done(message.number, problem)))
            case Unload():
                problem = self._unload_by_hand(message.name)
                self._answers.append(Send(connection, Done(message.number, problem)))

    def _known(self, build: Build) -> Member:
        """Return the build's member; one that the file of models does not name is an old one."""
        if build.id not in self._members:
            self._members[build.id] = Member(build, self._url_of(build))
        return self._members[build.id]

    def _hold(self, connection: ConnectionId, member: Member, now: float) -> None:
        member.used, member.unload = now, False
        stopping = member.phase == "stopping" or (member.phase == "serving" and member.leaves_for)
        if stopping and connection not in member.holders:
            member.later.append(connection)
            return
        member.holders.add(connection)
        self._answers.append(Send(connection, Held(member.build.id)))

    def _drop(
        self,
        connection: ConnectionId,
        member: Member,
        now: float,
        idle_seconds: float = 0.0,
        keep_alive: float | None = None,
    ) -> None:
        member.later = [each for each in member.later if each != connection]
        if connection in member.holders:
            member.holders.discard(connection)
            member.note_use(now, idle_seconds, keep_alive)

    def _load_by_hand(self, name: str, now: float) -> str:
        member = self._named(name)
        if member is None:
            return self._unknown(name)
        if member.failed:
            wait = max(0.0, member.start_at - now)
            return f"its last load failed: {member.reason}; the next try is in {wait:.0f} s"
        member.unload, member.used = False, now
        if member.phase in {"absent", "stopping"}:
            member.ordered = member.ordered or "hand"
        return ""

    def _unload_by_hand(self, name: str) -> str:
        member = self._named(name)
        if member is None:
            return self._unknown(name)
        member.unload, member.ordered = True, ""
        return ""

    def _named(self, name: str) -> Member | None:
        current = [each for each in self._members.values() if each.current]
        known = [each for each in current if name in (each.build.name, *each.build.aliases)]
        return known[0] if known else None

    def _unknown(self, name: str) -> str:
        return f"there is no model {name!r}; there are {', '.join(self._names) or 'none'}"

    # The file of models

    def problem(self, text: str) -> None:
        """Note that the file's last change was not taken; empty: it was."""
        self._problem = text

    def list_builds(self, builds: Sequence[Build]) -> None:
        """Take a new catalog: one build a name, the default first."""
        self._names = tuple(build.name for build in builds)
        self._listed = frozenset(build.id for build in builds)
        listed = {build.name: build.id for build in builds}
        for member in self._members.values():
            if member.build.id != listed.get(member.build.name):
                self._withdraw(member, gone=member.build.name not in listed)
        for build in builds:
            self._list(build)

    def _withdraw(self, member: Member, *, gone: bool) -> None:
        """A build that the file does not name any more is not loaded for its sake."""
        member.replaces, member.restores, member.ordered = "", "", ""
        if gone and member.current:
            member.current = False
            _log.info("model=%s build=%s removed", member.build.name, member.build.id)

    def _list(self, build: Build) -> None:
        member = self._known(build)
        member.build = build
        old = self._current(build.name)
        if old is member:
            return
        if old is not None and old.phase == "serving" and member.phase != "serving":
            member.replaces, member.ordered = old.build.id, "swap"
            member.failed, member.failures, member.start_at = False, 0, 0.0
            _log.info("model=%s swap old=%s new=%s", build.name, old.build.id, build.id)
            return
        loaded = old is not None and old.phase != "absent"
        self._promote(member)
        if member.phase == "absent":
            member.ordered = _first_order(build, replaces=loaded)

    def _current(self, name: str) -> Member | None:
        found = (each for each in self._members.values() if each.current)
        return next((each for each in found if each.build.name == name), None)

    def _promote(self, member: Member) -> None:
        """Give the build its name: new requests go to it."""
        for each in self._members.values():
            if each.build.name == member.build.name and each is not member and each.current:
                each.current, each.ordered = False, ""
        member.current, member.replaces = True, ""

    # Launchers

    def reported(self, build: str, report: Report, now: float) -> None:
        member = self._members.get(build)
        if member is None or member.phase in {"absent", "stopping"}:
            return
        match report:
            case Needs():
                self._take_needs(member, report, now)
            case Stage() if member.phase == "loading":
                member.stage = report.text
            case Serving():
                self._take_serving(member, report, now)
            case Refused():
                member.reason = report.reason
            case BackendEnded() if member.phase == "loading" and not self._room.alone:
                member.crashes += 1
                if member.crashes >= MOST_CRASHES:
                    member.reason = member.reason or how(report.status)
                    self._stop_and_fail(member, member.reason, now)

    def _take_needs(self, member: Member, report: Needs, now: float) -> None:
        member.needs, member.arithmetic, member.reason = report.size, report.arithmetic, ""
        member.enter("waiting", now)
        if member.granted:  # it still has the memory of a launcher that was killed
            self._grant(member, now)

    def _grant(self, member: Member, now: float) -> None:
        member.granted, member.stage, member.loading_since = True, "", now
        member.enter("loading", now)
        self._actions.append(Grant(member.build.id))

    def _take_serving(self, member: Member, report: Serving, now: float) -> None:
        member.fingerprint, member.context_length = report.fingerprint, report.context_length
        if member.phase != "loading":
            return
        member.enter("serving", now)
        member.loads += 1
        member.load_seconds = now - member.loading_since
        member.note_use(now, 0.0, None)
        member.reason, member.restores, member.ordered = "", "", ""
        member.failures = member.crashes = 0
        member.recovers = False
        _log.info("%s loaded seconds=%.1f", _named(member), member.load_seconds)
        if member.replaces:
            self._promote(member)
            _log.info("%s swapped=beside", _named(member))

    def ended(self, build: str, status: int, now: float) -> None:
        """Note that a launcher has ended, with its exit status; negative: killed by this signal."""
        member = self._members[build]
        phase, member.stage = member.phase, ""
        member.enter("absent", now)
        if phase == "stopping":
            member.granted = False
            self._hold_later(member)
        elif status in GIVEN_UP and self._room.alone and not self._others(member):
            self._actions.append(GiveUp(status))
        elif status in GIVEN_UP or (member.crashes >= MOST_CRASHES and not self._room.alone):
            self._fail(member, member.reason or how(status), now)
        else:
            self._start_again(member, phase == "serving", status, now)

    def _others(self, member: Member) -> bool:
        """True if the server still has another build to serve."""
        return any(each.phase != "absent" for each in self._members.values() if each is not member)

    def _start_again(self, member: Member, served: bool, status: int, now: float) -> None:
        _log.error("%s %s; restarting it", _named(member), how(status))
        self._hold_later(member)
        member.start_at, member.recovers = now + RESTART_SECONDS, served or member.recovers
        member.crashes += 0 if served else 1
        if not member.ordered and member.current and member.build.load == "start":
            member.ordered = "start"

    def _hold_later(self, member: Member) -> None:
        """Answer those who asked for a build that was about to end."""
        member.leaves_for = ""
        held, member.later = list(dict.fromkeys(member.later)), []
        member.holders |= set(held)
        self._answers += [Send(each, Held(member.build.id)) for each in held]

    def _stop_and_fail(self, member: Member, reason: str, now: float) -> None:
        self._stop(member, now, kill=True)
        self._fail(member, reason, now)

    def _fail(self, member: Member, reason: str, now: float) -> None:
        member.failures += 1
        pause = RETRIES[min(member.failures, len(RETRIES)) - 1]
        member.failed, member.reason, member.start_at = True, reason, now + pause
        member.crashes, member.recovers = 0, False
        member.granted = member.granted and member.phase == "stopping"
        if member.ordered == "hand":
            member.ordered = ""
        _log.error("%s failed: %s; the next try is in %.0f s", _named(member), reason, pause)
        if old := self._members.get(member.restores):
            member.restores = member.ordered = ""
            self._promote(old)
            old.ordered = "start" if old.phase == "absent" else ""
            _log.warning("%s stays current", _named(old))

    # Time

    def tick(self, now: float) -> None:
        """Start, stop and grant what is due. Called after every other input."""
        for member in list(self._members.values()):
            self._settle(member, now)
        for member in self._room.allot(list(self._members.values()), now):
            self._grant(member, now)
        for member in list(self._members.values()):
            self._follow_room(member, now)

    def _settle(self, member: Member, now: float) -> None:
        """Start a build that is wanted; end the wait of one that is not; kill one that stays."""
        match member.phase:
            case "absent":
                self._settle_absent(member, now)
            case "starting" | "waiting" if not member.wanted:
                self._stop(member, now)
            case "waiting":
                if refusal := self._room.never(member, self._members.values()):
                    self._stop_and_fail(member, refusal, now)
            case "stopping" if now - member.since > KILL_SECONDS:
                self._stop(member, now, kill=True)

    def _settle_absent(self, member: Member, now: float) -> None:
        member.granted = member.granted and member.wanted
        if now >= member.start_at:
            member.failed = member.failed and member.replaced and not member.wanted
            if member.wanted:
                self._start(member, now)
        if self._is_forgotten(member):
            del self._members[member.build.id]

    def _is_forgotten(self, member: Member) -> bool:
        if member.wanted or not member.replaced or member.build.id in self._listed:
            return False
        return all(each.restores != member.build.id for each in self._members.values())

    def _start(self, member: Member, now: float) -> None:
        member.enter("starting", now)
        member.unload = False
        self._actions.append(Start(member.build, member.url))

    def _follow_room(self, member: Member, now: float) -> None:
        """Stop a build that nobody holds and that has to go; begin a swap without room."""
        if member.phase == "serving":
            if not member.leaves_for:
                self._hold_later(member)
            gone = member.leaves or member.unload or now >= member.expires
            if member.idle and gone:
                self._stop(member, now)
        old = self._members.get(member.replaces)
        if old is not None and old.leaves_for == member.build.id:
            self._promote(member)
            member.restores = old.build.id
            _log.info("%s swapped=one after the other: both do not fit", _named(member))
        elif member.replaces and (old is None or old.phase in {"absent", "stopping"}):
            self._promote(member)

    def _stop(self, member: Member, now: float, *, kill: bool = False) -> None:
        member.enter("stopping", now)
        member.expires, member.wished, member.unload = math.inf, -math.inf, False
        self._actions.append(Stop(member.build.id, kill))

    # Out

    def take(self, now: float) -> list[Action]:
        """Return what is to be done, in order; a Snapshot precedes answers that need it."""
        shown = self.snapshot(now)
        if self._shown is None or _without_time(shown) != _without_time(self._shown):
            self._shown = shown
            self._actions += [Send(each, shown) for each in sorted(self._connections)]
        actions, self._actions = [*self._actions, *self._answers], []
        self._answers = []
        return actions

    def snapshot(self, now: float) -> Snapshot:
        """Return what frontends may know now."""
        waiting = any(each.phase == "waiting" for each in self._members.values())
        order = {name: number for number, name in enumerate(self._names)}
        members = sorted(
            self._members.values(),
            key=lambda each: (not each.current, order.get(each.build.name, len(order))),
        )
        shown = tuple(each.shown(now, contested=waiting) for each in members)
        return Snapshot(shown, self._problem, self._room.memory)


def _first_order(build: Build, *, replaces: bool) -> Order:
    return "start" if build.load == "start" or replaces else ""


def _named(member: Member) -> str:
    return f"model={member.build.name} build={member.build.id}"


def _without_time(snapshot: Snapshot) -> Snapshot:
    """Return what does not change by itself."""
    structs = msgspec.structs
    builds = tuple(structs.replace(each, retry_seconds=0.0) for each in snapshot.builds)
    return structs.replace(snapshot, builds=builds)
