"""A child process: started in an environment, ended by its id, never left behind.

The kernel signals a child when the *thread* that started it ends. So a thread of its own starts the
child and waits until it ends. That thread ends with this process at the latest, and so does the
child, which passes the variable PARENT to `die_with_parent`.
"""

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Mapping, Sequence
from pathlib import Path

from rowcast.errors import RowcastError
from rowcast.serving.output import Output, sentences

PARENT = "ROWCAST_CHILD_OF"  # process id
_SOURCE = str(Path(__file__).resolve().parents[2])  # so that a child finds this package
KILL_SECONDS = 15.0  # beyond the time that it has to finish


class ChildProcess:
    """One child process."""

    def __init__(
        self,
        name: str,
        command: Sequence[str],
        environment: Mapping[str, str],
        output: Output,
        *,
        descriptors: Sequence[int] = (),
    ) -> None:
        """`name`: for messages. `descriptors`: those that the child inherits.

        To the environment it adds PARENT, and what a child that runs Python needs.
        """
        self._name = name
        self._command = command
        self._environment = {**environment, **_of_python(), PARENT: str(os.getpid())}
        self._descriptors = descriptors
        self._output = output
        self._process: subprocess.Popen[bytes] | None = None
        self._problem: OSError | None = None
        self._started = threading.Event()
        self.ended = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"rowcast-{name}", daemon=True)

    def start(self) -> None:
        """Return once the process exists. Raises RowcastError if it cannot."""
        self._thread.start()
        self._started.wait()
        self.release()
        if self._problem is not None:
            problem = f"the {self._name} cannot start: {self._problem}"
            raise RowcastError(problem) from self._problem

    def release(self) -> None:
        """Close this process's copies of what the child has inherited."""
        self._output.release()

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
        """Let it finish for this long; then kill it."""
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
            raise RowcastError(f"the {self._name} was not started")
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
        return subprocess.Popen(  # noqa: S603  # no shell
            self._command,
            env=self._environment,
            stdin=subprocess.DEVNULL,
            stdout=self._output.descriptor,
            stderr=self._output.descriptor,
            pass_fds=self._descriptors,
            start_new_session=True,  # Ctrl-C reaches this process alone, which then stops it
        )


def _of_python() -> dict[str, str]:
    """Return the variables with which a child finds this package, and writes lines at once."""
    path = os.pathsep.join(filter(None, (_SOURCE, os.environ.get("PYTHONPATH"))))
    return {"PYTHONPATH": path, "PYTHONUNBUFFERED": "1"}
