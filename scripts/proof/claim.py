"""A claim: a sentence, how often it is put to the test, and the run that may refute it.

In: a context, dice, a size. Out: a `Finding`: figures, faults (something was wrong) and misses
(something was too slow). Only a finding without both keeps the claim; a test looks at faults alone.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Literal

from proof.context import Context

SizeName = Literal["test", "ci", "full"]


@dataclass(frozen=True, slots=True)
class Sizes:
    """How often, or how long: in a test, in continuous integration, and to be sure."""

    test: int
    ci: int
    full: int

    def named(self, name: SizeName) -> int:
        """One of the three."""
        return {"test": self.test, "ci": self.ci, "full": self.full}[name]


@dataclass(slots=True)
class Finding:
    """What a run has seen."""

    figures: list[str] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    misses: list[str] = field(default_factory=list)

    @property
    def kept(self) -> bool:
        """Whether the claim stands."""
        return not self.faults and not self.misses

    def expect(self, true: object, otherwise: str) -> None:
        """Note a fault unless this holds."""
        if not true:
            self.faults.append(otherwise)

    def wish(self, true: object, otherwise: str) -> None:
        """Note a miss unless this holds."""
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
