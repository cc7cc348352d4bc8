"""Server and proxy as one unit: they start together, are ready together, and end together.

    start ▶ await_ready ▶ watch ▶ stop

`watch` ends when we are asked to end, or with `Ended` if a part ended by itself. `stop` lets open
streams finish, unless it is asked a second time. It polls ten times per second: nothing here is in
a request's path.
"""

import http.client
import json
import os
import signal
import time
from collections.abc import Callable, Sequence
from typing import Any

from commands.serve.stop_requests import StopRequests
from local.child import QUICK, Child

LOOK_SECONDS = 0.1
HURRY_SECONDS = 5.0


class Ended(Exception):
    """A part ended without being asked to."""

    def __init__(self, part: Child) -> None:
        super().__init__(f"The {part.name} ended by itself (status {part.status}).")
        self.part = part


class NeverReady(Exception):
    """The parts run, but did not become ready in time."""


class Stack:
    """The parts, in the order of their start."""

    def __init__(self, parts: Sequence[Child], stops: StopRequests) -> None:
        self._parts = parts
        self._stops = stops

    def start(self) -> None:
        for part in self._parts:
            part.start()

    def await_ready(
        self, host: str, port: int, patience: float, waiting: Callable[[str], None]
    ) -> dict[str, Any] | None:
        """Return the answer of `/readiness` once ready; None if we were asked to end first."""
        until = time.monotonic() + patience
        while not self._stops.count:
            self._check()
            ready, answer = readiness(host, port)
            if ready:
                return answer
            reason = str(answer.get("reason") or answer.get("message"))
            if time.monotonic() > until:
                raise NeverReady(f"Not ready after {patience:.0f} s: {reason}.")
            waiting(reason)
            time.sleep(LOOK_SECONDS)
        return None

    def watch(self) -> None:
        """Watch until we are asked to end. Raises Ended if a part ends first."""
        while not self._stops.count:
            self._check()
            reap_orphans({part.pid for part in self._parts})
            time.sleep(LOOK_SECONDS)

    def stop(self, patience: float) -> list[Child]:
        """Stop all parts; return those that had to be killed."""
        self._send(signal.SIGTERM)
        until = time.monotonic() + patience
        before = self._stops.count
        while any(part.runs for part in self._parts) and time.monotonic() < until:
            if self._stops.count > before:
                before = self._stops.count
                until = min(until, time.monotonic() + HURRY_SECONDS)
                self._send(QUICK)
            time.sleep(LOOK_SECONDS)
        killed = [part for part in self._parts if part.runs]
        for part in killed:
            part.kill()
        return killed

    def _send(self, how: signal.Signals) -> None:
        for part in self._parts:
            part.send(how)

    def _check(self) -> None:
        for part in self._parts:
            if part.status is not None:
                raise Ended(part)


def readiness(host: str, port: int) -> tuple[bool, dict[str, Any]]:
    """Return the answer of `/readiness` at an address."""
    connection = http.client.HTTPConnection(host, port, timeout=5)
    try:
        connection.request("GET", "/readiness")
        response = connection.getresponse()
        answer = json.loads(response.read(65536))
    except (OSError, http.client.HTTPException, ValueError) as error:
        return False, {"reason": str(error) or type(error).__name__}
    finally:
        connection.close()
    return response.status == 200, answer


def reap_orphans(ours: set[int | None]) -> None:
    """Wait for orphans: process 1 of a container inherits them, and nothing else waits for them.

    A part that ended is left alone: its status is read elsewhere.
    """
    while True:
        try:
            dead = os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        except ChildProcessError:
            return
        if dead is None or dead.si_pid in ours:
            return
        os.waitpid(dead.si_pid, 0)
