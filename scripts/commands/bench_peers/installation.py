"""A peer's folder in the cache, with its virtual environment, its sources, its weights.

Installing is explicit and happens only here: commands run in the folder, their output goes to
install.log, and a stamp, written last, records the installed version. Knows no peer.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

INSTALL_SECONDS = 3 * 3600.0
STAMP = "installed"


class NotInstalledError(Exception):
    """A peer that cannot be run; the text says what to do."""


class StepError(Exception):
    """A command that a peer needs failed; the text shows the end of its output."""


def cache() -> Path:
    """Return the folder that holds all peers and models."""
    base = os.environ.get("XDG_CACHE_HOME") or str(Path.home() / ".cache")
    return Path(base) / "rowcast" / "peers"


@dataclass(frozen=True, slots=True)
class Installation:
    """One peer's folder."""

    name: str
    folder: Path

    @property
    def python(self) -> Path:
        """The Python of its own environment."""
        return self.folder / "venv" / "bin" / "python"

    @property
    def log(self) -> Path:
        """The output of installing and converting."""
        return self.folder / "install.log"

    def program(self, name: str) -> str:
        """Return a command of its own environment."""
        return str(self.python.parent / name)

    def make_venv(self) -> None:
        """Create a fresh environment, with the Python that runs this."""
        self.run([sys.executable, "-m", "venv", "--clear", str(self.folder / "venv")])

    def pip(self, *arguments: str) -> None:
        """Run its pip."""
        pip = [str(self.python), "-m", "pip", "--disable-pip-version-check", "--no-input"]
        self.run([*pip, *arguments])

    def run(self, command: Sequence[str], variables: dict[str, str] | None = None) -> None:
        """Run one command in the folder. Raises StepError."""
        self.folder.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            log.write(f"\n$ {' '.join(command)}\n".encode())
            log.flush()
            done = subprocess.run(
                command,
                cwd=self.folder,
                env={**os.environ, **(variables or {})},
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                timeout=INSTALL_SECONDS,
                check=False,
            )
        if done.returncode:
            raise StepError(f"{command[0]} ended with {done.returncode}:\n{self._tail()}")

    def stamp(self, version: str) -> None:
        """Record that this version is completely installed."""
        (self.folder / STAMP).write_text(version)

    def unstamp(self) -> None:
        """Record that nothing here is reliable."""
        (self.folder / STAMP).unlink(missing_ok=True)

    @property
    def installed(self) -> str | None:
        """The installed version, if any."""
        file = self.folder / STAMP
        return file.read_text() if file.is_file() else None

    def _tail(self, lines: int = 12) -> str:
        return "\n".join(self.log.read_text(errors="replace").splitlines()[-lines:])
