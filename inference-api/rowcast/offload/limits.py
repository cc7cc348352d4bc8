"""What one task may use, and how a slow one is treated."""

from dataclasses import dataclass

QUICK_SECONDS = 0.05  # until a task counts as slow
SLOW_NICE = 5  # the priority of slow tasks: streams come first, but slow tasks still end
WALL_SECONDS = 60.0  # that a task may wait and run, all in all


@dataclass(frozen=True, slots=True)
class Limits:
    """What one task may use."""

    seconds: float = 5.0  # of processor time
    memory: int = 256 << 20  # bytes, on top of what a helper begins with

    def __str__(self) -> str:
        return f"{self.seconds:g} s of processor time and {self.memory >> 20} MiB of memory"
