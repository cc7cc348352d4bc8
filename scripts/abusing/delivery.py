"""Where an attack is delivered, by a process of its own, and what was answered.

The folder that both sides share holds the attack, the plan, and then the answers. Credentials stand
in the plan only, which its owner alone can read and which is removed.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, Self

from abusing.shot import Attack

SCRIPTS = Path(__file__).resolve().parent.parent
ATTACK, PLAN, ANSWERS = "attack.json", "plan.json", "answers.json"
SHOWN = 100

Identity = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Door:
    """An address, and what a request shows there."""

    host: str
    port: int
    identity: Identity = ()

    @classmethod
    def read(cls, told: dict[str, Any]) -> Self:
        """From JSON."""
        identity = tuple((name, value) for name, value in told["identity"])
        return cls(told["host"], told["port"], identity)


@dataclass(frozen=True, slots=True)
class Plan:
    """Where the sender delivers, and for how long."""

    seconds: float
    team: Door
    stranger: Door

    @classmethod
    def read(cls, path: Path) -> Self:
        """From a file."""
        told = json.loads(path.read_text())
        return cls(told["seconds"], Door.read(told["team"]), Door.read(told["stranger"]))

    def write(self, path: Path) -> None:
        """To a file that only its owner can read: it holds credentials."""
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(self)))


@dataclass(slots=True)
class Answers:
    """How often each status came, and the beginning of its first body."""

    counted: Counter[str] = field(default_factory=Counter)
    said: dict[str, str] = field(default_factory=dict)
    stream: str = ""

    def note(self, status: str, body: bytes = b"") -> None:
        """Count one answer."""
        self.counted[status] += 1
        self.said.setdefault(status, body[:SHOWN].decode(errors="replace"))


@contextlib.contextmanager
def sending(attack: Attack, plan: Plan, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that delivers an attack, ended with the block; `answers_in` has what came."""
    (folder / ANSWERS).unlink(missing_ok=True)
    attack.save(folder / ATTACK)
    plan.write(folder / PLAN)
    process = subprocess.Popen(
        [sys.executable, "-m", "abusing.sender", folder],
        cwd=SCRIPTS,
        env={**os.environ, "PYTHONPATH": str(SCRIPTS)},
    )
    try:
        yield process
    finally:
        if process.poll() is None:
            process.kill()
        process.wait(timeout=10)
        (folder / PLAN).unlink()


def answers_in(folder: Path) -> Answers:
    """What a sender has written; nothing where it was ended before."""
    path = folder / ANSWERS
    if not path.exists():
        return Answers()
    told = json.loads(path.read_text())
    return Answers(Counter(told["counted"]), told["said"])
