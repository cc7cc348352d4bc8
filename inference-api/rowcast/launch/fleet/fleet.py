"""Which builds are loaded: messages, reports, catalogs and time in; actions out.

    joined, gone, received    frontends: Hello, Hold, Drop, Load, Unload
    reported, ended           launchers                         ──▶ `launchers`
    list_builds, problem      the file of models                ──▶ `roster`
    tick                      time                              ──▶ `room`: who may load, who leaves
    take() ──▶ actions        Start, Grant, Stop, Send, GiveUp  ◀── `outbox`

A build that a frontend holds is never stopped. A Hold of a build that is being stopped, or that
leaves for another, is answered once the build has been stopped.
"""

import logging
from collections.abc import Callable, Sequence

from rowcast.launch.fleet.actions import Action, ConnectionId
from rowcast.launch.fleet.launchers import Launchers
from rowcast.launch.fleet.member import Member
from rowcast.launch.fleet.outbox import Outbox
from rowcast.launch.fleet.room import Room
from rowcast.launch.fleet.roster import Roster
from rowcast.launch.reports import Report
from rowcast.models.build import Build
from rowcast.models.messages import Done, Drop, FromFrontend, Hello, Hold, Load, Snapshot, Unload

_log = logging.getLogger("rowcast.launch")

KILL_SECONDS = 15.0  # after which a launcher that should end is killed


class Fleet:
    """All builds of one server."""

    def __init__(self, room: Room, url_of: Callable[[Build], str]) -> None:
        self._room = room
        self._roster = Roster(url_of)
        self._outbox = Outbox()
        self._launchers = Launchers(self._roster, self._outbox, alone=room.alone)
        self._problem = ""

    # Frontends

    def joined(self, connection: ConnectionId, now: float) -> None:
        self._outbox.join(connection, self.snapshot(now))

    def gone(self, connection: ConnectionId, now: float) -> None:
        self._outbox.leave(connection)
        for member in self._roster:
            member.drop(connection, now)

    def received(self, connection: ConnectionId, message: FromFrontend, now: float) -> None:
        match message:
            case Hello():
                for build in message.holds:
                    self._hold(connection, build, now)
            case Hold():
                self._hold(connection, message.build, now)
            case Drop():
                if member := self._roster.get(message.build):
                    member.drop(connection, now, message.idle_seconds, message.keep_alive)
            case Load():
                problem = self._load_by_hand(message.name, now)
                self._outbox.answer(connection, Done(message.number, problem))
            case Unload():
                problem = self._unload_by_hand(message.name)
                self._outbox.answer(connection, Done(message.number, problem))

    def _hold(self, connection: ConnectionId, build: Build, now: float) -> None:
        if self._roster.known(build).hold(connection, now):
            self._outbox.held(build.id, [connection])

    def _load_by_hand(self, name: str, now: float) -> str:
        member = self._roster.named(name)
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
        member = self._roster.named(name)
        if member is None:
            return self._unknown(name)
        member.unload, member.ordered = True, ""
        return ""

    def _unknown(self, name: str) -> str:
        return f"there is no model {name!r}; there are {', '.join(self._roster.names) or 'none'}"

    # The file of models

    def problem(self, text: str) -> None:
        """Note why the file's last change was not applied; empty: it was."""
        if text and text != self._problem:
            _log.error("models not changed: %s", text)
        self._problem = text

    def list_builds(self, builds: Sequence[Build]) -> None:
        """Take a new catalog: one build per name, the default model's first."""
        self._roster.list_builds(builds)

    # Launchers

    def reported(self, build: str, report: Report, now: float) -> None:
        self._launchers.reported(build, report, now)

    def ended(self, build: str, status: int, now: float) -> None:
        """Note that a launcher has ended, with its exit status; negative: killed by this signal."""
        self._launchers.ended(build, status, now)

    # Time

    def tick(self, now: float) -> None:
        """Start, stop and grant what is due. Called after every other input."""
        for member in self._roster:
            self._settle(member, now)
        for member in self._room.allot(list(self._roster), now):
            self._launchers.grant(member, now)
        for member in self._roster:
            self._stop_unneeded(member, now)
            self._advance_swap(member)

    def _settle(self, member: Member, now: float) -> None:
        """Start a build that is wanted; end the wait of one that is not; kill one that stays."""
        match member.phase:
            case "absent":
                self._settle_absent(member, now)
            case "starting" | "waiting" if not member.wanted:
                self._launchers.stop(member, now)
            case "waiting":
                if refusal := self._room.never(member, self._roster):
                    self._launchers.abort(member, refusal, now)
            case "stopping" if now - member.since > KILL_SECONDS:
                self._launchers.stop(member, now, kill=True)

    def _settle_absent(self, member: Member, now: float) -> None:
        member.granted = member.granted and member.wanted
        if now >= member.start_at:
            member.failed = member.failed and member.replaced and not member.wanted
            if member.wanted:
                self._launchers.start(member, now)
        self._roster.forget(member)

    def _stop_unneeded(self, member: Member, now: float) -> None:
        """Stop a build that is to leave, once nobody holds it."""
        if member.phase != "serving":
            return
        if not member.leaves_for:
            self._launchers.hold_later(member)
        gone = member.leaves or member.unload or now >= member.expires
        if member.idle and gone:
            _log.info("%s unloading reason=%r", member.label, self._reason(member))
            self._launchers.stop(member, now)

    def _reason(self, member: Member) -> str:
        """Return why a build is unloaded."""
        if successor := self._roster.get(member.leaves_for):
            return f"room for {successor.build.name}"
        if member.replaced:
            return "replaced"
        return "by hand" if member.unload else "idle"

    def _advance_swap(self, member: Member) -> None:
        """Give a build its name before it is loaded, if the old one leaves for it or is gone."""
        old = self._roster.get(member.replaces)
        if old is not None and old.leaves_for == member.build.id:
            self._roster.promote(member)
            member.restores = old.build.id
            _log.info("%s swapped=one after the other: both do not fit", member.label)
        elif member.replaces and (old is None or old.phase in {"absent", "stopping"}):
            self._roster.promote(member)

    # Out

    def take(self, now: float) -> list[Action]:
        """Return what is to be done, in order."""
        return self._outbox.take(self.snapshot(now))

    def snapshot(self, now: float) -> Snapshot:
        """Return what frontends may see now."""
        waiting = any(each.phase == "waiting" for each in self._roster)
        shown = tuple(each.shown(now, contested=waiting) for each in self._roster.in_order())
        return Snapshot(shown, self._problem, self._room.memory)
