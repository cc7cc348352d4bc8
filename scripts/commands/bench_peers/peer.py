"""What a server must declare to be measured: how it is installed, configured and started.

In: an installation, a model, a precision, a port. Out: a `Plan`, which `service` starts and drives.
A peer keeps no state; one without installation inherits the methods that say so.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import ClassVar

from commands.bench.dialects.dialect import Dialect
from commands.bench_peers.installation import Installation, NotInstalledError

MOST_STREAMS = 32


@dataclass(frozen=True, slots=True)
class Setting:
    """The settings that all contestants share."""

    model: Path  # in Hugging Face's form
    positions: int  # needed by one stream, prompt and reply
    threads: int
    streams: int  # the highest number measured


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """How to start one server and how to send requests to it."""

    command: tuple[str, ...]
    ready: str  # the path that answers 200 once it serves
    dialect: Dialect | None  # None: our own program that runs an engine in its process
    model: str = "model"  # its name in requests
    extra: Mapping[str, object] = field(default_factory=dict)
    variables: Mapping[str, str] = field(default_factory=dict)
    folder: Path | None = None


class Peer(ABC):
    """One server."""

    name: ClassVar[str]
    version: ClassVar[str]
    precisions: ClassVar[tuple[str, ...]]
    most_streams: ClassVar[int] = MOST_STREAMS

    def install(self, installation: Installation) -> None:  # noqa: ARG002
        """Install it."""
        raise NotInstalledError(f"{self.name} is part of this project: nothing to install")

    def check(self, installation: Installation) -> None:
        """Check that it is installed. Raises NotInstalledError."""
        if installation.installed != self.version:
            found = (
                f"version {installation.installed} is" if installation.installed else "nothing is"
            )
            raise NotInstalledError(
                f"{self.name}: {found} installed, want {self.version}; "
                f"run: scripts/bench_peers install {self.name}"
            )

    @abstractmethod
    def plan(self, installation: Installation, setting: Setting, precision: str, port: int) -> Plan:
        """Convert the model if necessary, and return how to start."""
