"""Loads or unloads a model of a running server, and waits until that is done.

The server answers at once; its list then shows the progress. Each stage is reported once. In: the
server and a name. Out: the model at the end, or when the time is over.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from commands.models.listed import Model, model_of
from http_client.json_server import JsonServer

LOOK_SECONDS = 0.25


@dataclass(frozen=True, slots=True)
class ByHand:
    """Loads and unloads models."""

    server: JsonServer
    patience: float  # seconds; 0: do not wait
    progress: Callable[[str], None]  # is called with each stage

    def load(self, name: str) -> Model:
        """Load it; wait until it is ready or has failed. Raises Refused and Unreachable."""
        self.server.post("/models/load", {"model": name})
        return self._follow(name, lambda model: model.state in {"ready", "failed"})

    def unload(self, name: str) -> Model:
        """Unload it; wait until its sessions have ended. Raises Refused and Unreachable."""
        before = model_of(self.server, name).loads
        self.server.post("/models/unload", {"model": name})
        return self._follow(
            name,
            lambda model: model.state in {"unloaded", "failed"} or model.loads > before,
        )

    def _follow(self, name: str, is_done: Callable[[Model], bool]) -> Model:
        until = time.monotonic() + self.patience
        stage = ""
        while True:
            time.sleep(LOOK_SECONDS)
            model = model_of(self.server, name)
            if is_done(model) or time.monotonic() > until:
                return model
            if (now := model.stage or model.state) != stage:
                stage = now
                self.progress(stage)
