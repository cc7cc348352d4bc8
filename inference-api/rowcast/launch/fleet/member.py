"""One build of the fleet: what its launcher does, who holds it, and what frontends see of it.

    absent ─▶ starting ─▶ waiting ─▶ loading ─▶ serving ─▶ stopping ─▶ absent
              no report   for memory  granted

Decides nothing: `fleet` and `room` do.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

from rowcast.launch.fleet.actions import ConnectionId
from rowcast.models.build import Build
from rowcast.models.messages import BuildState, State

Phase = Literal["absent", "starting", "waiting", "loading", "serving", "stopping"]
Order = Literal["", "start", "hand", "swap"]


@dataclass(slots=True)
class Member:
    """One build, from when it is known until it is forgotten."""

    build: Build
    url: str
    current: bool = False  # new requests for its name go to it
    phase: Phase = "absent"
    since: float = 0.0  # when the phase began
    ordered: Order = ""  # why it is loaded though nobody holds it
    unload: bool = False  # by hand, once nobody holds it
    replaces: str = ""  # the build whose name it takes over as soon as it serves
    restores: str = ""  # the build that becomes current again if this one cannot be loaded
    leaves_for: str = ""  # the build that waits for its memory
    leaves_since: float = 0.0
    spared_until: float = 0.0  # until then it does not leave while it is busy
    granted: bool = False  # its memory is reserved
    failed: bool = False
    failures: int = 0  # loads that failed, in a row
    crashes: int = 0  # of its processes, since it last served
    start_at: float = 0.0  # no launcher is started before
    recovers: bool = False  # it was serving, and its launcher was killed
    holders: set[ConnectionId] = field(default_factory=set)
    later: list[ConnectionId] = field(default_factory=list)  # their Holds wait until it is stopped
    used: float = 0.0  # when somebody last held or used it
    expires: float = math.inf  # it is unloaded then, unless somebody holds it
    stays_until: float = -math.inf  # as the last `keep_alive` set it
    loading_since: float = 0.0
    needs: int = 0
    arithmetic: str = ""
    stage: str = ""
    reason: str = ""
    fingerprint: str = ""
    context_length: int = 0
    load_seconds: float = 0.0
    loads: int = 0
    ends: int = 0  # backends that ended without being stopped

    @property
    def label(self) -> str:
        """Its name and build, as the log shows them."""
        return f"model={self.build.name} build={self.build.id}"

    @property
    def reserved(self) -> int:
        """The bytes that it may use now."""
        return self.needs if self.granted else 0

    @property
    def wanted(self) -> bool:
        return bool(self.holders or self.ordered)

    @property
    def idle(self) -> bool:
        """True if it can be stopped at once."""
        return self.phase == "serving" and not self.holders

    @property
    def replaced(self) -> bool:
        """True if it gets no new requests, now or later, and only ends those that it has."""
        return not self.current and not self.replaces

    @property
    def pinnable(self) -> bool:
        """True if frontends may go on holding it while nobody needs its memory."""
        timed = self.build.idle_seconds or self.build.longest_keep_alive
        stays = self.current and not self.unload and not self.leaves_for and not timed
        return self.phase == "serving" and stays

    @property
    def state(self) -> State:
        if self.failed:
            return "failed"
        if self.phase == "stopping" or (self.phase == "serving" and self.leaves):
            return "draining"
        if self.phase == "serving":
            return "ready"
        return "loading" if self.phase != "absent" or self.wanted else "unloaded"

    @property
    def leaves(self) -> bool:
        return bool(self.leaves_for) or self.replaced

    def enter(self, phase: Phase, now: float) -> None:
        self.phase, self.since = phase, now

    def shown(self, now: float, *, contested: bool) -> BuildState:
        """Return what frontends see. `contested`: a build waits for memory."""
        pinned = self.pinnable and (self.build.keep or not contested)
        return BuildState(
            build=self.build,
            state=self.state,
            url=self.url,
            current=self.current,
            pinned=pinned,
            stage=self.stage if self.state == "loading" else "",
            reason=self.reason,
            retry_seconds=max(0.0, self.start_at - now) if self.failed else 0.0,
            needs=self.needs,
            fingerprint=self.fingerprint,
            context_length=self.context_length,
            load_seconds=self.load_seconds,
            loads=self.loads,
            ends=self.ends,
        )

    def hold(self, connection: ConnectionId, now: float) -> bool:
        """Add a holder. If the build is about to end, add it later, and return False."""
        self.used, self.unload = now, False
        ending = self.phase == "stopping" or (self.phase == "serving" and self.leaves_for)
        if ending and connection not in self.holders:
            self.later.append(connection)
            return False
        self.holders.add(connection)
        return True

    def hold_later(self) -> list[ConnectionId]:
        """Add the holders that had to wait, and return them."""
        self.leaves_for = ""
        waited, self.later = list(dict.fromkeys(self.later)), []
        self.holders |= set(waited)
        return waited

    def drop(
        self,
        connection: ConnectionId,
        now: float,
        idle_seconds: float = 0.0,
        keep_alive: float | None = None,
    ) -> None:
        self.later = [each for each in self.later if each != connection]
        if connection in self.holders:
            self.holders.discard(connection)
            self.note_use(now, idle_seconds, keep_alive)

    def note_use(self, now: float, idle_seconds: float, keep_alive: float | None) -> None:
        """Note when its last session ended, and how long it stays loaded after that.

        A request without `keep_alive` does not shorten what an earlier one set.
        """
        self.used = max(self.used, now - idle_seconds)
        maximum = self.build.longest_keep_alive
        if keep_alive is not None and maximum:
            seconds = math.inf if keep_alive < 0 else keep_alive
            self.stays_until = self.used + min(seconds, maximum if maximum > 0 else math.inf)
            self.expires = self.stays_until
        else:
            self.expires = max(self.stays_until, self.used + (self.build.idle_seconds or math.inf))
