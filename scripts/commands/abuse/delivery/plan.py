"""Delivery of an attack by a separate process, and the answers.

A folder shared by both sides holds the attack, the plan, and then the answers. Credentials are only
in the plan, which only its owner can read and which is removed.
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

from commands.abuse.attacks.shot import Attack

SCRIPTS = Path(__file__).resolve().parents[3]
ATTACK, PLAN, ANSWERS = "attack.json", "plan.json", "answers.json"
SHOWN = 100

Identity = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True)
class Address:
    """An address, and the credentials that a request shows there."""

    host: str
    port: int
    identity: Identity = ()

    @classmethod
    def read(cls, fields: dict[str, Any]) -> Self:
        """Read it from JSON."""
        identity = tuple((name, value) for name, value in fields["identity"])
        return cls(fields["host"], fields["port"], identity)


@dataclass(frozen=True, slots=True)
class Plan:
    """The targets of a sender, and its time limit."""

    seconds: float
    team: Address
    stranger: Address

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read it from a file."""
        fields = json.loads(path.read_text())
        return cls(
            fields["seconds"], Address.read(fields["team"]), Address.read(fields["stranger"])
        )

    def write(self, path: Path) -> None:
        """Write it to a file that only its owner can read, since it holds credentials."""
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(self)))


@dataclass(slots=True)
class Answers:
    """The count of each status, and the beginning of its first body."""

    counts: Counter[str] = field(default_factory=Counter)
    bodies: dict[str, str] = field(default_factory=dict)
    stream: str = ""

    def note(self, status: str, body: bytes = b"") -> None:
        """Count one answer."""
        self.counts[status] += 1
        self.bodies.setdefault(status, body[:SHOWN].decode(errors="replace"))


@contextlib.contextmanager
def sending(attack: Attack, plan: Plan, folder: Path) -> Iterator[subprocess.Popen[bytes]]:
    """A process that delivers an attack, ended with the block; `answers_in` returns the answers."""
    (folder / ANSWERS).unlink(missing_ok=True)
    attack.save(folder / ATTACK)
    plan.write(folder / PLAN)
    process = subprocess.Popen(
        [sys.executable, "-m", "commands.abuse.delivery.sender", folder],
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
    """Return what a sender has written; nothing if it was ended early."""
    path = folder / ANSWERS
    if not path.exists():
        return Answers()
    fields = json.loads(path.read_text())
    return Answers(Counter(fields["counts"]), fields["bodies"])
