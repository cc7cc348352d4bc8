"""The limits of a task, and how a slow one is treated."""

from dataclasses import dataclass

QUICK_SECONDS = 0.05  # until a task counts as slow
SLOW_NICE = 5  # the priority of slow tasks: streams come first, but slow tasks still end
WALL_SECONDS = 60.0  # for a task's wait and run, all in all


@dataclass(frozen=True, slots=True)
class Limits:
    """The limits of one task."""

    seconds: float = 5.0  # of processor time
    memory: int = 256 << 20  # bytes, in addition to what a helper starts with

    def __str__(self) -> str:
        return f"{self.seconds:g} s of processor time and {self.memory >> 20} MiB of memory"
