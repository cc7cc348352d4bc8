"""Runs a function in another process, whose end frees all the memory that it needed.

    with in_subprocess(function) as other: …; other.result()      raises the function's RowcastError

Forked from a process that computes nothing yet. It ends when the block or this process does.
"""

import multiprocessing
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from multiprocessing.context import ForkProcess
from typing import Any, Generic, TypeVar

from rowcast.errors import RowcastError
from rowcast.parent_death import die_with_parent

Result = TypeVar("Result")
END_SECONDS = 10.0


class Died(RowcastError):
    """The other process ended without a result."""


@dataclass(frozen=True, slots=True)
class SubprocessCall(Generic[Result]):
    """A function that is running in another process."""

    process: ForkProcess
    answers: Connection

    def result(self) -> Result:
        """Wait for the function's result and return it."""
        try:
            answer = self.answers.recv()
        except EOFError:
            self.process.join(END_SECONDS)
            how = f"ended with status {self.process.exitcode}"
            raise Died(f"loading {how}; if it was killed, it probably ran out of memory") from None
        if isinstance(answer, RowcastError):
            raise answer
        result: Result = answer
        return result


@contextmanager
def in_subprocess(function: Callable[[], Result], name: str) -> Iterator[SubprocessCall[Result]]:
    """Run `function` in a process with this name."""
    context = multiprocessing.get_context("fork")
    answers, sender = context.Pipe(duplex=False)
    process = context.Process(target=_answer, args=(function, sender, os.getpid()), name=name)
    process.start()
    sender.close()
    try:
        yield SubprocessCall(process, answers)
        process.join(END_SECONDS)
    finally:
        answers.close()
        process.kill()
        process.join(END_SECONDS)


def _answer(function: Callable[[], Any], sender: Connection, parent: int) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    die_with_parent(signal.SIGKILL, parent)
    try:
        answer = function()
    except RowcastError as refusal:
        answer = refusal
    sender.send(answer)
