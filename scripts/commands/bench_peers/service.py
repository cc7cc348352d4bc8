"""One running server: started, awaited, driven one burst at a time, ended with all its children.

In: a `Plan` and a port. Out: for each burst a `Run`, as `load` makes it. A server is driven over
HTTP by `load`'s driver; a plan without a dialect is our own program that runs an engine in its
process, receives the prompts by one POST, and answers with the times that it measured. They share
one clock: on Linux `perf_counter` is the same for all processes.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from commands.bench.load.driver import Driver
from commands.bench.load.outcome import Outcome
from commands.bench.load.pace import ClosedLoop
from commands.bench.load.requests import Request
from commands.bench.load.target import Target, resolve
from commands.bench.results.figures import Run
from commands.bench_peers import usage
from commands.bench_peers.peer import Plan
from local.child import Child
from local.ports import LOCAL

LOOK_SECONDS = 0.05
STOP_SECONDS = 20.0


class NeverReadyError(Exception):
    """A server that never became ready; the text shows the end of its log."""


class Service:
    """One contestant's server."""

    def __init__(self, label: str, plan: Plan, port: int, log: Path) -> None:
        self.label = label
        self._plan, self._port = plan, port
        folder = plan.folder or log.parent
        variables = {**os.environ, **plan.variables}
        self._part = Child(label, plan.command, variables, folder, log)
        self._family: set[usage.Member] = set()

    def start(self, patience: float) -> float:
        """Start it; return the seconds until it serves. Raises NeverReadyError."""
        began = time.monotonic()
        self._part.start()
        while not self._serves():
            if self._part.status is not None:
                raise self._never_ready(f"ended with {self._part.status}")
            if time.monotonic() > began + patience:
                raise self._never_ready(f"not ready after {patience:g} s")
            time.sleep(LOOK_SECONDS)
        return time.monotonic() - began

    def burst(self, requests: Sequence[Request], timeout: float) -> Run:
        """Send all requests at once, and wait for every end."""
        if self._plan.dialect is None:
            return Run(_burst_inside(self._port, requests, timeout), 0.0)
        target = Target(
            label=self.label,
            address=resolve(f"http://{LOCAL}:{self._port}"),
            dialect=self._plan.dialect,
            models=(self._plan.model,),
            extra=dict(self._plan.extra),
        )
        driver = Driver(target, requests, ClosedLoop(len(requests)), timeout, _watch_nothing)
        began = time.process_time()
        return Run(driver.run(), time.process_time() - began)

    def memory(self) -> usage.Memory:
        """Return what its processes hold now."""
        return usage.memory(self._part.pid) if self._part.pid else usage.Memory(0, 0)

    def cpu_seconds(self) -> float:
        """Return the CPU time of its processes so far."""
        return usage.cpu_seconds(self._part.pid) if self._part.pid else 0.0

    def stop(self) -> None:
        """End it, its process group, and all its descendants in other groups."""
        if self._part.pid is None:
            return
        self._family |= usage.members(self._part.pid)
        self._part.send(signal.SIGTERM)
        _wait_until(self._gone, STOP_SECONDS)
        self._part.kill()
        for one in self._family:
            with contextlib.suppress(ProcessLookupError):
                if one.lives:
                    os.kill(one.pid, signal.SIGKILL)

    def _gone(self) -> bool:
        # The status is read first: a process that was not waited for is still in the list.
        return self._part.status is not None and not any(one.lives for one in self._family)

    def _serves(self) -> bool:
        connection = http.client.HTTPConnection(LOCAL, self._port, timeout=5)
        try:
            connection.request("GET", self._plan.ready)
            return connection.getresponse().status == 200
        except (OSError, http.client.HTTPException):
            return False
        finally:
            connection.close()

    def _never_ready(self, why: str) -> NeverReadyError:
        tail = "\n".join(f"    {line}" for line in self._part.tail())
        return NeverReadyError(f"{self.label}: {why}\n{tail}")


def _burst_inside(port: int, requests: Sequence[Request], timeout: float) -> list[Outcome]:
    """Have the engine's own process run the burst."""
    body = {
        "prompts": [request.prompt for request in requests],
        "reply_tokens": requests[0].max_tokens,
    }
    connection = http.client.HTTPConnection(LOCAL, port, timeout=timeout)
    began = time.perf_counter()
    try:
        connection.request("POST", "/burst", json.dumps(body))
        answer = json.loads(connection.getresponse().read())
    except (OSError, http.client.HTTPException, ValueError) as error:
        answer = {"message": str(error) or type(error).__name__}
    finally:
        connection.close()
    if "replies" in answer:
        return [outcome_inside(index, one) for index, one in enumerate(answer["replies"])]
    why = str(answer.get("message"))
    now = time.perf_counter()
    return [Outcome(request.index, began, began, ended=now, failure=why) for request in requests]


def outcome_inside(index: int, seen: Mapping[str, Any]) -> Outcome:
    """Return what the engine's program measured for one reply, in the form of a client's view."""
    arrivals: list[float] = seen["arrivals"]
    started: float = seen["started"]
    return Outcome(
        index,
        started,
        started,
        sent=started,
        first_byte=arrivals[0] if arrivals else None,
        arrivals=arrivals,
        ended=seen["ended"],
        status=200,
        failure=None if arrivals else "no token",
        received=1,
        pieces=len(arrivals),
        prompt_tokens=seen["prompt_tokens"],
        usage_tokens=seen["tokens"],
    )


def _wait_until(true: Callable[[], bool], patience: float) -> None:
    until = time.monotonic() + patience
    while not true() and time.monotonic() < until:
        time.sleep(LOOK_SECONDS)


def _watch_nothing(_: Driver) -> None:
    """Do nothing: progress is reported per burst."""
