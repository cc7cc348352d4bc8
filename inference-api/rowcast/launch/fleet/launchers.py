"""What the launchers of a fleet do: started, granted their memory, serving, stopped, failed.

    reported, ended             from launchers
    start, grant, stop, abort   from the fleet; Start, Grant and Stop out

A launcher that was killed is started again, with the memory that its build had. A load that failed
is tried again after a pause of RETRIES; after a swap without room, the old build becomes current
again. A server of one build that cannot be served gives up.
"""

import logging
import math

from rowcast.launch.exit_status import GIVEN_UP, describe_end
from rowcast.launch.fleet.actions import GiveUp, Grant, Start, Stop
from rowcast.launch.fleet.member import Member
from rowcast.launch.fleet.outbox import Outbox
from rowcast.launch.fleet.roster import Roster
from rowcast.launch.reports import BackendEnded, Needs, Refused, Report, Serving, Stage

_log = logging.getLogger("rowcast.launch")

RETRIES = (5.0, 30.0, 120.0)  # seconds until the next load, after loads that failed in a row
MOST_CRASHES = 3  # of one load; then it has failed
RESTART_SECONDS = 0.5  # after a launcher was killed


class Launchers:
    """The launchers of all builds. `alone`: there is one build, whose failures end the server."""

    def __init__(self, roster: Roster, outbox: Outbox, *, alone: bool) -> None:
        self._roster = roster
        self._outbox = outbox
        self._alone = alone

    def start(self, member: Member, now: float) -> None:
        member.enter("starting", now)
        member.unload = False
        self._outbox.act(Start(member.build, member.url))

    def grant(self, member: Member, now: float) -> None:
        member.granted, member.stage, member.loading_since = True, "", now
        member.enter("loading", now)
        self._outbox.act(Grant(member.build.id))

    def stop(self, member: Member, now: float, *, kill: bool = False) -> None:
        member.enter("stopping", now)
        member.expires, member.stays_until, member.unload = math.inf, -math.inf, False
        self._outbox.act(Stop(member.build.id, kill))

    def abort(self, member: Member, reason: str, now: float) -> None:
        """End a load that cannot succeed."""
        self.stop(member, now, kill=True)
        self._fail(member, reason, now)

    def reported(self, build: str, report: Report, now: float) -> None:
        member = self._roster.get(build)
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
            case BackendEnded():
                self._take_end(member, report, now)

    def _take_needs(self, member: Member, report: Needs, now: float) -> None:
        member.needs, member.arithmetic, member.reason = report.size, report.arithmetic, ""
        member.enter("waiting", now)
        if member.granted:  # it still has the memory of a launcher that was killed
            self.grant(member, now)

    def _take_end(self, member: Member, report: BackendEnded, now: float) -> None:
        member.ends += 1
        if member.phase == "loading" and not self._alone:
            member.crashes += 1
            if member.crashes >= MOST_CRASHES:
                self.abort(member, member.reason or describe_end(report.status), now)

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
        _log.info("%s loaded seconds=%.1f", member.label, member.load_seconds)
        if member.replaces:
            self._roster.promote(member)
            _log.info("%s swapped=beside", member.label)

    def ended(self, build: str, status: int, now: float) -> None:
        """Note that a launcher has ended, with its exit status; negative: killed by this signal."""
        member = self._roster[build]
        phase, member.stage = member.phase, ""
        member.enter("absent", now)
        if phase == "stopping":
            member.granted = False
            self.hold_later(member)
        elif status in GIVEN_UP and self._alone and not self._others(member):
            self._outbox.act(GiveUp(status))
        elif status in GIVEN_UP or (member.crashes >= MOST_CRASHES and not self._alone):
            self._fail(member, member.reason or describe_end(status), now)
        else:
            self._start_again(member, phase == "serving", status, now)

    def hold_later(self, member: Member) -> None:
        """Answer the Holds that waited for a stop: it is over, or was cancelled."""
        self._outbox.held(member.build.id, member.hold_later())

    def _others(self, member: Member) -> bool:
        """True if another build has a launcher."""
        return any(each.phase != "absent" for each in self._roster if each is not member)

    def _start_again(self, member: Member, served: bool, status: int, now: float) -> None:
        _log.error("%s %s; restarting it", member.label, describe_end(status))
        self.hold_later(member)
        member.start_at, member.recovers = now + RESTART_SECONDS, served or member.recovers
        member.crashes += 0 if served else 1
        member.ends += served  # its backend ended with it, and could not report that
        if not member.ordered and member.current and member.build.load == "start":
            member.ordered = "start"

    def _fail(self, member: Member, reason: str, now: float) -> None:
        member.failures += 1
        pause = RETRIES[min(member.failures, len(RETRIES)) - 1]
        member.failed, member.reason, member.start_at = True, reason, now + pause
        member.crashes, member.recovers = 0, False
        member.granted = member.granted and member.phase == "stopping"
        if member.ordered == "hand":
            member.ordered = ""
        _log.error("%s failed: %s; the next try is in %.0f s", member.label, reason, pause)
        if old := self._roster.get(member.restores):
            member.restores = member.ordered = ""
            self._roster.promote(old)
            old.ordered = "start" if old.phase == "absent" else ""
            _log.warning("%s stays current", old.label)
