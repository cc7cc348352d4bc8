"""What every claim receives: servers of the model under test, a folder, and a progress output.

A server lives as long as its `with` block; whatever happens in the block, the server and all that
it started are ended after it.
"""

from __future__ import annotations

import contextlib
import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from local.ports import free_ports
from local.server import Server

SCRIPTED = "scripted"


@dataclass(slots=True)
class Context:
    """The environment of one run."""

    model: str
    folder: Path
    first_port: int
    progress: Callable[[str], None]
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
        count_greenlets: bool = False,
        **settings: object,
    ) -> Iterator[Server]:
        """A server that is ready. `step`: the scripted model's pace; the rest as in `Server`."""
        folder = self.folder / f"server-{next(self._number)}"
        folder.mkdir(parents=True)
        (port,) = free_ports(self.first_port, 1)
        chosen = {"JOURNAL": "off"} | {name: str(value) for name, value in settings.items()}
        model = {} if "MODELS" in chosen else {"MODEL": self.model}
        if self.scripted and model:
            model = {"MOCK_MODEL": "1", "STEP_SECONDS": str(step)}
        server = Server(folder, port, model | chosen, files, count_greenlets=count_greenlets)
        try:
            server.start()
            yield server
        finally:
            server.end()
