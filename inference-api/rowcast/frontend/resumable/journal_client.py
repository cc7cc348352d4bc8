"""Sends a frontend's calls to the journal's process, many per transaction.

While one transaction is written, further calls gather for the next. No call waits longer than
`PATIENCE`: a disk that is slow, full or gone fails the call (`JournalFailing`), not the stream.
From then on calls fail at once, and `problem` holds the reason, until a transaction succeeds again;
one is tried every second. Knows how to reach the journal, not what is in it.
"""

import contextlib
import logging
import os
import socket
import subprocess
import sys
import threading
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Concatenate, Generic, ParamSpec, TypeVar

from rowcast.errors import JournalFailing
from rowcast.journal.background.table import BackgroundTable
from rowcast.journal.batches.files import FileTable
from rowcast.journal.batches.table import BatchTable
from rowcast.journal.service import Call, receive, send

_log = logging.getLogger("rowcast.journal")

PATIENCE = 5.0
RETRY_SECONDS = 1.0
MOST_JOBS = 10_000  # the maximum that may wait for a stalled disk
_SILENT = "it does not respond"

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")
_Method = Callable[Concatenate[Any, _Arguments], _Result]
# The attributes of `Journal` whose methods may be called, by their class.
_PARTS = {
    BackgroundTable.__name__: "background.",
    BatchTable.__name__: "batches.",
    FileTable.__name__: "files.",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class JournalConfig:
    """Where the journal is, and how long and how much it keeps."""

    path: Path
    keep_seconds: float
    reply_seconds: float
    limit: int
    result_seconds: float = 86400


class Job(Generic[_Result]):
    """A call that was handed over; `JournalClient.wait` returns its result."""

    def __init__(self, call: Call, *, again: bool) -> None:
        self.call = call
        self.again = again  # retry until it succeeds
        self.abandoned = False
        self.done = threading.Event()
        self.problem = ""
        self.result: Any = None

    def end(self, problem: str, result: object = None) -> None:
        self.problem, self.result = problem, result
        self.done.set()


class JournalClient:
    """A frontend's connection to the journal."""

    def __init__(self, config: JournalConfig) -> None:
        self.problem = ""
        self._config = config
        self._owner = f"{os.getpid()}-{os.urandom(4).hex()}"
        self._link: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None
        self._jobs: deque[Job[Any]] = deque()
        self._wake = threading.Event()
        self._closing = False
        self._thread = threading.Thread(target=self._run, name="journal", daemon=True)

    def start(self) -> None:
        self._wake.set()  # open the file now
        self._thread.start()

    def close(self) -> None:
        """Write all pending calls, and end the journal's process."""
        self._closing = True
        self._wake.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=PATIENCE)

    def do(
        self,
        method: "_Method[_Arguments, _Result]",
        *arguments: _Arguments.args,
        **named: _Arguments.kwargs,
    ) -> _Result:
        """Call a journal method; return its result once it is durable. Raises JournalFailing."""
        return self.wait(self.call(method, *arguments, **named))

    def call(
        self,
        method: "_Method[_Arguments, _Result]",
        *arguments: _Arguments.args,
        **named: _Arguments.kwargs,  # noqa: ARG002  # none is sent; the type needs them
    ) -> Job[_Result]:
        """Hand a call of a journal method over; calls are made in this order."""
        job: Job[_Result] = Job((_name_of(method), arguments), again=False)
        if self.problem:
            job.end(self.problem)
        else:
            self._hand_over(job)
        return job

    def wait(self, job: Job[_Result]) -> _Result:
        """Return a call's result once it is durable. Raises JournalFailing."""
        if not job.done.wait(PATIENCE):
            job.abandoned = True
            self._note(_SILENT)
            raise JournalFailing(f"the journal is failing: {_SILENT}")
        if job.problem:
            raise JournalFailing(f"the journal is failing: {job.problem}")
        result: _Result = job.result
        return result

    def soon(
        self,
        method: "_Method[_Arguments, object]",
        *arguments: _Arguments.args,
        **named: _Arguments.kwargs,  # noqa: ARG002
    ) -> None:
        """Call a journal method as soon as possible, without waiting for it."""
        self._hand_over(Job((_name_of(method), arguments), again=True))

    def _hand_over(self, job: Job[Any]) -> None:
        if len(self._jobs) >= MOST_JOBS or self._closing:
            job.end("too many calls are waiting for it")
            return
        self._jobs.append(job)
        self._wake.set()

    def _run(self) -> None:
        while not self._closing or (self._jobs and not self.problem):
            self._wake.wait(RETRY_SECONDS if self.problem else None)
            self._wake.clear()
            self._write()
        self._hang_up()

    def _write(self) -> None:
        taken = [self._jobs.popleft() for _ in range(len(self._jobs))]
        jobs = [job for job in taken if not job.abandoned]
        answer = self._exchange([job.call for job in jobs])
        problem = answer if isinstance(answer, str) else ""
        self._note(problem)
        if problem:
            self._jobs.extendleft(job for job in reversed(jobs) if job.again)
        results = answer if isinstance(answer, list) else [None] * len(jobs)
        for job, result in zip(jobs, results, strict=True):
            job.end(problem, result)

    def _exchange(self, calls: Sequence[Call]) -> list[Any] | str:
        """Return the calls' results, or the reason why there are none."""
        try:
            link = self._link or self._connect()
            send(link, list(calls))
            answer: list[Any] | str = receive(link)
        except (OSError, EOFError) as error:
            self._hang_up()
            return f"its process has ended: {error}"
        return answer

    def _connect(self) -> socket.socket:
        ours, theirs = socket.socketpair()
        config, source = self._config, Path(__file__).parents[3]
        seconds = (config.keep_seconds, config.reply_seconds, config.result_seconds)
        command = (str(config.path), self._owner, *map(str, (*seconds, config.limit)))
        with theirs:
            self._process = subprocess.Popen(  # noqa: S603  # our own module
                [sys.executable, "-P", "-m", "rowcast.journal.service", *command],
                env=os.environ | {"PYTHONPATH": str(source)},
                stdin=theirs.fileno(),
                start_new_session=True,
            )
        self._link = ours
        return ours

    def _hang_up(self) -> None:
        """Close the socket, which ends the journal's process."""
        link, self._link = self._link, None
        process, self._process = self._process, None
        if link is not None:
            link.close()
        if process is not None:
            with contextlib.suppress(subprocess.TimeoutExpired):
                process.wait(PATIENCE)

    def _note(self, problem: str) -> None:
        if problem != self.problem:
            self.problem = problem
            _log.error("journal=%s %s", self._config.path, problem or "has recovered")


def _name_of(method: Callable[..., object]) -> str:
    """Return the name by which the journal's process finds a method."""
    part, _, name = method.__qualname__.rpartition(".")
    return f"{_PARTS.get(part, '')}{name}"
