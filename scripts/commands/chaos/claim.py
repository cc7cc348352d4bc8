"""A claim: a sentence, how often it is tested, and the run that may refute it.

In: a context, dice, a size. Out: a `Finding`: figures, faults (something was wrong) and misses
(something was too slow). A claim holds only without both; a test looks at faults alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from commands.chaos.context import Context

SizeName = Literal["test", "ci", "full"]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How often, or how long: in `make test`, in `LONG=1 make test`, and before a release."""

    test: int
    ci: int
    full: int

    def named(self, name: SizeName) -> int:
        """Return one of the three."""
        return {"test": self.test, "ci": self.ci, "full": self.full}[name]


@dataclass(slots=True)
class Finding:
    """The results of a run."""

    figures: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    misses: list[str] = field(default_factory=list)

    @property
    def holds(self) -> bool:
        """True if the claim holds."""
        return not self.faults and not self.misses

    def expect(self, true: object, otherwise: str) -> None:
        """Record a fault unless this holds."""
        if not true:
            self.faults.append(otherwise)

    def want(self, true: object, otherwise: str) -> None:
        """Record a miss unless this holds."""
        if not true:
            self.misses.append(otherwise)


@dataclass(frozen=True, slots=True)
class Claim:
    """One line of the table."""

    name: str
    sentence: str
    sizes: Sizes
    unit: str
    run: Callable[[Context, random.Random, int], Finding]
    models: str = ""  # what it serves, if not the model of the command line
