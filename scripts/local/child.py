"""One child process: started in its own process group, ended by its id.

It has its own group so that Ctrl-C reaches it only through us. Its output goes to a log file that
only this user may read, or, without one, to our own output. If this process dies suddenly, Linux
ends the child. Knows nothing about the command.
"""

import contextlib
import ctypes
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO

PR_SET_PDEATHSIG = 1
QUICK = signal.SIGQUIT  # for gunicorn: end now, without waiting for open streams


@dataclass(slots=True)
class Child:
    """The command to run, and its process once started."""

    name: str
    command: Sequence[str]
    environment: Mapping[str, str] = field(repr=False)
    folder: Path
    log: Path | None = None
    _process: subprocess.Popen[bytes] | None = field(default=None, init=False)

    def start(self) -> None:
        with contextlib.ExitStack() as files:
            output = files.enter_context(_own_file(self.log)) if self.log else None
            self._process = subprocess.Popen(
                self.command,
                cwd=self.folder,
                env=dict(self.environment),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT if output else None,
                process_group=0,
                preexec_fn=_DieWithParent(os.getpid()),  # noqa: PLW1509  # this program has one thread
            )

    @property
    def pid(self) -> int | None:
        return self._process.pid if self._process else None

    @property
    def status(self) -> int | None:
        """Its exit status; None while it runs, and before it is started."""
        return self._process.poll() if self._process else None

    @property
    def runs(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def send(self, how: signal.Signals) -> None:
        if self._process is not None:
            self._process.send_signal(how)

    def kill(self) -> None:
        """Kill its whole group at once."""
        if self._process is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self._process.pid, signal.SIGKILL)
            self._process.wait(timeout=10)

    def tail(self, lines: int = 15) -> list[str]:
        """Return the end of its log."""
        if self.log is None or not self.log.exists():
            return []
        return self.log.read_text(errors="replace").splitlines()[-lines:]


def _own_file(path: Path) -> BinaryIO:
    """Open a new, empty file that only this user can read; an existing file loses other rights."""
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    os.fchmod(descriptor, 0o600)
    return os.fdopen(descriptor, "wb")


class _DieWithParent:
    """Called in the child before it becomes the command: when the parent dies, end the child."""

    def __init__(self, parent: int) -> None:
        self._parent = parent
        self._libc = ctypes.CDLL(None) if sys.platform == "linux" else None

    def __call__(self) -> None:
        if self._libc is not None:
            self._libc.prctl(PR_SET_PDEATHSIG, int(signal.SIGTERM))
        if os.getppid() != self._parent:
            os._exit(1)
