"""The source of helpers: the frontend's handle of its fork server process.

The fork server is started when it is first needed, or ahead of time by `start`, and again if it has
ended. Knows no tasks.
"""

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from rowcast.errors import NotReady
from rowcast.offload.frames import FORK
from rowcast.offload.helper import Helper, HelperDied
from rowcast.offload.limits import Limits

START_SECONDS = 60.0  # for a large tokenizer, on a slow and busy machine
STOP_SECONDS = 5.0
_ONE_THREAD = {  # a helper uses a single processor
    "TOKENIZERS_PARALLELISM": "false",
    "RAYON_NUM_THREADS": "1",
    "MALLOC_ARENA_MAX": "1",
}


class HelperSource:
    """Creates helper processes."""

    def __init__(self, limits: Limits, settings: Mapping[str, str] | None = None) -> None:
        """`settings`: variables that name the model; they override the environment."""
        self.limits = limits
        self._settings = dict(settings or {})
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._lock = threading.Lock()

    def start(self) -> None:
        """Begin to load what helpers need."""
        with self._lock:
            self._open()

    def make(self) -> Helper:
        """Return a new helper. Raises NotReady if none can be created."""
        for _ in range(2):  # the fork server may have ended since it was last used
            with contextlib.suppress(OSError, HelperDied):
                return self._make()
            self._hang_up()
        raise NotReady("no helper process can be started; see the log")

    def close(self) -> None:
        """End the fork server, and its helpers with it."""
        self._hang_up()

    def _make(self) -> Helper:
        ours, theirs = socket.socketpair()
        with theirs, self._lock:
            socket.send_fds(self._open(), [FORK], [theirs.fileno()])
        return Helper(ours, START_SECONDS)

    def _open(self) -> socket.socket:
        if self._control is None:
            ours, theirs = socket.socketpair()
            source = Path(__file__).parents[2]
            numbers = (str(self.limits.seconds), str(self.limits.memory))
            with theirs:
                self._process = subprocess.Popen(  # noqa: S603  # our own module
                    [sys.executable, "-P", "-m", "rowcast.offload.fork_server", *numbers],
                    env=os.environ | self._settings | _ONE_THREAD | {"PYTHONPATH": str(source)},
                    stdin=theirs.fileno(),
                    start_new_session=True,
                )
            self._control = ours
        return self._control

    def _hang_up(self) -> None:
        with self._lock:
            control, self._control = self._control, None
            process, self._process = self._process, None
        if control is not None:
            control.close()
        if process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
