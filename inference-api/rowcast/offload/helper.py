"""The frontend's handle of one helper process."""

import contextlib
import os
import signal
import socket
import time

import msgspec

from rowcast.errors import RowcastError
from rowcast.offload.frames import LENGTH, framed

SEND_SECONDS = 10.0
_READ = 1 << 18


class HelperDied(RowcastError):
    """A helper ended before its task did; `seconds` is how long the task had run."""

    def __init__(self, problem: str, seconds: float = 0.0) -> None:
        super().__init__(problem)
        self.seconds = seconds


class Helper:
    """One helper process, used by one request at a time."""

    def __init__(self, link: socket.socket, timeout: float) -> None:
        """Wait until the process at the other end of `link` has sent its id."""
        self._link = link
        self._received = bytearray()
        self._sent_at = time.monotonic()
        self._process = -1
        try:
            self.pid = msgspec.msgpack.decode(self.answer(timeout), type=int)
            self._process = os.pidfd_open(self.pid)
        except (OSError, HelperDied) as error:  # including a timeout
            link.close()
            raise HelperDied("a helper ended before its first task") from error

    def send(self, body: bytes) -> None:
        """Send a request."""
        self._sent_at = time.monotonic()
        self._link.settimeout(SEND_SECONDS)
        try:
            self._link.sendall(framed(body))
        except OSError as error:
            raise HelperDied("a helper ended before its task began") from error

    def answer(self, seconds: float) -> bytes:
        """Return the next frame's body. After a TimeoutError it may be called again."""
        until = time.monotonic() + seconds
        while (body := self._frame()) is None:
            self._link.settimeout(max(0.001, until - time.monotonic()))
            self._received += self._read()
        return body

    def lower_priority(self, nice: int) -> None:
        """Lower the process's priority, so that everything else on this machine goes first."""
        with contextlib.suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, self.pid, nice)

    def kill(self) -> None:
        """Kill the process, if it has not ended."""
        if self._process >= 0:
            with contextlib.suppress(ProcessLookupError):
                signal.pidfd_send_signal(self._process, signal.SIGKILL)

    def close(self) -> None:
        """Kill the process and close its descriptors."""
        self.kill()
        process, self._process = self._process, -1
        if process >= 0:
            os.close(process)
        self._link.close()

    def _read(self) -> bytes:
        try:
            data = self._link.recv(_READ)
        except TimeoutError:
            raise
        except OSError as error:
            raise self._died() from error
        if not data:
            raise self._died()
        return data

    def _died(self) -> HelperDied:
        return HelperDied("a helper ended during its task", time.monotonic() - self._sent_at)

    def _frame(self) -> bytes | None:
        if len(self._received) < LENGTH.size:
            return None
        end = LENGTH.size + LENGTH.unpack_from(self._received)[0]
        if len(self._received) < end:
            return None
        body = bytes(self._received[LENGTH.size : end])
        del self._received[:end]
        return body
