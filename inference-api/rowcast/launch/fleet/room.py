"""Memory: which waiting build may load, and which one has to leave so that another can.

Builds wait in order: first those whose streams broke, then those that somebody holds, then those
that the file of models loads. What the first ones need is promised to them, so that small builds
that fit never hold up a large one for good. To make room, loaded builds leave in this order:

    1. idle ones, least recently used first; those that were loaded just now come last
    2. busy ones, longest loaded first: they get no new requests until they are idle

A busy build stays for at least RESIDENCY seconds after its load. If its requests do not end within
DRAIN_SECONDS, it serves others again for SPARED_SECONDS. So builds that do not fit beside each
other take turns.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from rowcast.engine.loading.free_memory import mebibytes
from rowcast.launch.fleet.member import Member

MIN_RESIDENCY = 30.0  # seconds after a load in which others leave first
RESIDENCY = 2.0  # seconds after a load in which a busy build never leaves
BUSY_SECONDS = 0.5  # that a build waits for others to become idle
DRAIN_SECONDS = 30.0
SPARED_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Room:
    """The memory of all builds together."""

    memory: int
    alone: bool = False  # one build, whose launcher checks whether it fits

    def never(self, member: Member, members: Iterable[Member]) -> str:
        """Return why a build can never be loaded; empty if it can."""
        own = {member.build.id, member.replaces}
        fixed = [each for each in members if _is_fixed(each) and each.build.id not in own]
        taken = sum(each.reserved for each in fixed)
        if self.alone or member.needs + taken <= self.memory:
            return ""
        beside = f" and {', '.join(each.build.name for each in fixed)} (keep) take" if fixed else ""
        return (
            f"it does not fit: {member.arithmetic} = {mebibytes(member.needs)}"
            + (f",{beside} {mebibytes(taken)}" if fixed else "")
            + f", but all models together may take {mebibytes(self.memory)}. Set a higher "
            "MODELS_MEMORY, a lower CONTEXT_LENGTH or a smaller DTYPE."
        )

    def allot(self, members: Sequence[Member], now: float) -> Iterator[Member]:
        """Yield the builds that may load now; mark those that leave for others."""
        waiting = sorted((each for each in members if each.phase == "waiting"), key=_urgency)
        _release(members, {each.build.id for each in waiting}, now)
        promised = 0
        for member in waiting:
            short = promised + member.needs + _staying(members) - self.memory
            leaving = _enough(_victims(members, member, now), short)
            for victim in leaving:
                victim.leaves_for, victim.leaves_since = member.build.id, now
                short -= victim.reserved
            if self._fits(member, members) and (short <= 0 or self._is_only(members)):
                yield member
            else:
                promised += member.needs
                member.stage = self._waits_for(member, members)

    def _fits(self, member: Member, members: Sequence[Member]) -> bool:
        present = sum(each.reserved for each in members)
        return present + member.needs <= self.memory or self._is_only(members)

    def _is_only(self, members: Sequence[Member]) -> bool:
        return self.alone and not any(each.granted for each in members)

    def _waits_for(self, member: Member, members: Sequence[Member]) -> str:
        present = [each for each in members if each.granted]
        free = self.memory - sum(each.reserved for each in present)
        others = ", ".join(f"{each.build.name} ({each.state})" for each in present)
        return (
            f"waits for memory: it needs {mebibytes(member.needs)}, and {mebibytes(max(0, free))} "
            f"of {mebibytes(self.memory)} are free beside {others or 'others'}"
        )


def _urgency(member: Member) -> tuple[bool, bool, float]:
    return (not member.recovers, not member.holders, member.since)


def _is_fixed(member: Member) -> bool:
    return member.granted and member.build.keep and member.current and not member.unload


def _staying(members: Iterable[Member]) -> int:
    """Return the bytes of the loaded builds that do not leave."""
    stays = (each for each in members if each.phase != "stopping" and not each.leaves_for)
    return sum(each.reserved for each in stays)


def _release(members: Iterable[Member], waiting: set[str], now: float) -> None:
    """Let builds stay if their memory is not needed any more, or if they drained for too long."""
    for each in members:
        late = each.current and each.holders and now - each.leaves_since > DRAIN_SECONDS
        if each.phase == "serving" and each.leaves_for and (each.leaves_for not in waiting or late):
            each.leaves_for = ""
            each.spared_until = now + SPARED_SECONDS if late else 0.0


def _victims(members: Sequence[Member], waiter: Member, now: float) -> list[Member]:
    """Return the builds that may leave for a waiting one, in order."""
    loaded = [each for each in members if each.phase == "serving" and not each.leaves_for]
    own = [each for each in loaded if each.build.id == waiter.replaces and not waiter.failures]
    others = [each for each in loaded if each.build.id != waiter.replaces and not each.build.keep]
    if waiter.ordered == "start" and not waiter.holders:
        others = [each for each in others if each.build.load != "start"]
    idle = sorted(
        (each for each in others if each.idle),
        key=lambda each: (now - each.since < MIN_RESIDENCY, each.used),
    )
    if now - waiter.since < BUSY_SECONDS or not (waiter.holders or waiter.ordered == "hand"):
        return [*own, *idle]
    busy = sorted((each for each in others if _may_drain(each, now)), key=lambda each: each.since)
    return [*own, *idle, *busy]


def _may_drain(member: Member, now: float) -> bool:
    resident = now - member.since >= RESIDENCY and now >= member.spared_until
    return resident and bool(member.holders) and member.current


def _enough(victims: Iterable[Member], short: int) -> list[Member]:
    """Return the first victims that free the missing bytes; none if all of them do not."""
    leaving: list[Member] = []
    for victim in victims:
        if short <= 0:
            break
        leaving.append(victim)
        short -= victim.reserved
    return leaving if short <= 0 else []
