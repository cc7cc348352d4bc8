"""Facts about the server under test, to which attacks are tailored."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Facts:
    """The served model: its name, its context in tokens, the size of its vocabulary."""

    model: str
    context: int
    vocabulary: int
