"""One build of the fleet: what its launcher does, who holds it, and what others may know of it.

    absent ─▶ starting ─▶ waiting ─▶ loading ─▶ serving ─▶ stopping ─▶ absent
              no report   for memory  granted

Holds no decision: `fleet` and `room` decide.
"""

import math
from dataclasses import dataclass, field
from typing import Literal

from rowcast.launch.fleet.actions import ConnectionId
from rowcast.models.build import Build
from rowcast.models.messages import BuildState, State

Phase = Literal["absent", "starting", "waiting", "loading", "serving", "stopping"]
Order = Literal["", "start", "hand", "swap"]
LOADS: tuple[Phase, ...] = ("starting", "waiting", "loading")


@dataclass(slots=True)
class Member:
    """One build, from when it is known until it is forgotten."""

    build: Build
    url: str
    current: bool = False  # new requests for its name go to it
    phase: Phase = "absent"
    since: float = 0.0  # when the phase began
    ordered: Order = ""  # why it is to be loaded though nobody holds it
    unload: bool = False  # by hand, as soon as nobody holds it
    replaces: str = ""  # the build whose name it takes over as soon as it serves
    restores: str = ""  # the build that becomes current again if this one cannot be loaded
    leaves_for: str = ""  # the build that waits for its memory
    leaves_since: float = 0.0
    spared_until: float = 0.0  # has to leave for nobody before, though it is busy
    granted: bool = False  # its memory is reserved
    failed: bool = False
    failures: int = 0  # loads that failed, in a row
    crashes: int = 0  # of its processes, since it last served
    start_at: float = 0.0  # no launcher is started before
    recovers: bool = False  # it was serving, and its launcher died
    holders: set[ConnectionId] = field(default_factory=set)
    later: list[ConnectionId] = field(default_factory=list)  # they hold it once it has been stopped
    used: float = 0.0  # when somebody last held or used it
    expires: float = math.inf  # it is unloaded then, unless somebody holds it
    wished: float = -math.inf  # what `keep_alive` made of it
    loading_since: float = 0.0
    needs: int = 0
    arithmetic: str = ""
    stage: str = ""
    reason: str = ""
    fingerprint: str = ""
    context_length: int = 0
    load_seconds: float = 0.0
    loads: int = 0

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
        """True if it only finishes what it has begun."""
        return not self.current and not self.replaces

    @property
    def pinnable(self) -> bool:
        """True if frontends may go on holding it while there is no need for its memory."""
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
        """Return what frontends may know; `contested`: another build waits for memory."""
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
        )

    def note_use(self, now: float, idle_seconds: float, keep_alive: float | None) -> None:
        """Note when its last session ended, and how long it should stay after that."""
        self.used = max(self.used, now - idle_seconds)
        maximum = self.build.longest_keep_alive
        if keep_alive is not None and maximum:
            wished = math.inf if keep_alive < 0 else keep_alive
            self.wished = self.used + min(wished, maximum if maximum > 0 else math.inf)
            self.expires = self.wished
        else:  # without a wish of its own, a request does not shorten that of another
            self.expires = max(self.wished, self.used + (self.build.idle_seconds or math.inf))
