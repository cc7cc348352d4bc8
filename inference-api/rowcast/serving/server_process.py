"""The process of a server: started in an environment, ended by its id, never left behind.

The kernel signals a child when the *thread* that started it ends. So a thread of its own starts the
server and waits until it ends. That thread ends with this process at the latest, and so does the
server.
"""

import contextlib
import os
import signal
import socket
import subprocess
import sys
import threading
from collections.abc import Mapping
from pathlib import Path

from rowcast.errors import RowcastError
from rowcast.serving.become_gunicorn import LISTENS, PARENT
from rowcast.serving.output import Output, sentences

_COMMAND = (sys.executable, "-P", "-m", "rowcast.serving.become_gunicorn")
KILL_SECONDS = 15.0  # beyond the time that open streams have


class ServerProcess:
    """One running server."""

    def __init__(
        self,
        environment: Mapping[str, str],
        output: Output,
        listener: socket.socket,
    ) -> None:
        """`listener`: a listening socket that the server takes over."""
        given = {PARENT: str(os.getpid()), LISTENS: str(listener.fileno())}
        self._environment = {**environment, **given}
        self._listener = listener
        self._output = output
        self._process: subprocess.Popen[bytes] | None = None
        self._problem: OSError | None = None
        self._started = threading.Event()
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name="rowcast-server", daemon=True)

    def start(self) -> None:
        """Return once the process exists. Raises RowcastError if it cannot."""
        self._thread.start()
        self._started.wait()
        self.release()
        if self._problem is not None:
            raise RowcastError(f"the server cannot start: {self._problem}") from self._problem

    def release(self) -> None:
        """Close this process's copies of the output and the listening socket."""
        self._output.release()
        self._listener.close()

    @property
    def log(self) -> Path | None:
        """The file to which it writes, if there is one."""
        return self._output.path

    def reason(self) -> str:
        """Return why it ended, as its last lines of output say."""
        return sentences(self._output.lines())

    @property
    def pid(self) -> int:
        return self._child.pid

    @property
    def status(self) -> int | None:
        """The exit status; None while it runs."""
        return self._child.poll() if self.ended.is_set() else None

    def send(self, signal_: signal.Signals) -> None:
        """Send a signal, unless the process has ended."""
        if self._process is not None and not self.ended.is_set():
            with contextlib.suppress(ProcessLookupError):
                self._process.send_signal(signal_)

    def stop(self, seconds: float) -> None:
        """Let open streams finish for this long; then kill the process."""
        if not self._started.is_set():
            self.release()
            return
        self.send(signal.SIGTERM)
        if not self.ended.wait(seconds + KILL_SECONDS):
            self.send(signal.SIGKILL)
            self.ended.wait(KILL_SECONDS)

    @property
    def _child(self) -> subprocess.Popen[bytes]:
        if self._process is None:
            raise RowcastError("the server was not started")
        return self._process

    def _run(self) -> None:
        try:
            self._process = self._spawn()
        except OSError as error:
            self._problem = error
            self.ended.set()
            return
        finally:
            self._started.set()
        self._process.wait()
        self.ended.set()

    def _spawn(self) -> subprocess.Popen[bytes]:
        return subprocess.Popen(  # noqa: S603  # this interpreter, and no shell
            _COMMAND,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=self._output.descriptor,
            stderr=self._output.descriptor,
            pass_fds=[self._listener.fileno()],
            start_new_session=True,  # Ctrl-C reaches this process alone, which then stops it
        )
