"""What every claim receives: servers of the model under test, a folder, and a progress output.

A server lives as long as its `with` block; whatever happens in the block, the server and all that
it started are ended after it.
"""

from __future__ import annotations

import contextlib
import itertools
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from local.server import LOCAL, Server

SCRIPTED = "scripted"


@dataclass(slots=True)
class Context:
    """The environment of one run."""

    model: str
    folder: Path
    first_port: int
    say: Callable[[str], None]
    _number: Iterator[int] = field(default_factory=itertools.count, init=False)

    @property
    def scripted(self) -> bool:
        """True if the model is the one without weights."""
        return self.model == SCRIPTED

    @contextlib.contextmanager
    def server(
        self,
        *,
        step: float = 0.01,
        files: int | None = None,
        counted: bool = False,
        **settings: object,
    ) -> Iterator[Server]:
        """A server that is ready. `step`: the scripted model's pace; the rest as in `Server`."""
        folder = self.folder / f"server-{next(self._number)}"
        folder.mkdir(parents=True)
        chosen = {"JOURNAL": "off"} | {name: str(value) for name, value in settings.items()}
        model = {"MODEL": self.model}
        if self.scripted:
            model = {"MOCK_MODEL": "1", "STEP_SECONDS": str(step)}
        server = Server(folder, self._free_port(), model | chosen, files, counted=counted)
        try:
            server.start()
            yield server
        finally:
            server.end()

    def _free_port(self) -> int:
        """Return the first free port from `first_port` on."""
        return next(port for port in range(self.first_port, 65536) if _is_free(port))


def _is_free(port: int) -> bool:
    with contextlib.closing(socket.socket()) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((LOCAL, port))
        except OSError:
            return False
    return True
