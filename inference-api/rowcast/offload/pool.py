"""Lends helper processes to requests, and keeps slow tasks out of the way of others.

    quick    a few helpers at normal priority. A task that is not done within QUICK_SECONDS is
             slow: it must leave
    slow     a few places for slow tasks at low priority, one per team. A slow task keeps its
             helper if there is a place; otherwise it starts again when its turn comes

So a task waits for a helper no longer than the quick tasks before it take, whatever others request.
A task whose helper died is retried once, since the helper may have been killed from outside; the
second time, the task is to blame. Results of `LASTING` tasks are cached.
"""

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass
from functools import cache
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar, get_type_hints

import msgspec

from rowcast.errors import Overloaded, RowcastError, StreamCut, TooCostly
from rowcast.offload.answer_cache import AnswerCache
from rowcast.offload.frames import Answer, Refusal, request
from rowcast.offload.gate import Gate
from rowcast.offload.helper import Helper, HelperDied
from rowcast.offload.limits import QUICK_SECONDS, SLOW_NICE, WALL_SECONDS
from rowcast.offload.source import HelperSource
from rowcast.offload.tasks import LASTING, Tools

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")
_Task = Callable[Concatenate[Tools, _Arguments], _Result]
Watch = Callable[[Callable[[], None]], AbstractContextManager[object]]

QUICK_WAITING = 1024  # tasks per team that may wait for a quick helper
SLOW_WAITING = 16  # and for a slow place: each may hold a large body


class TaskFailed(RowcastError):
    """A task has a bug; the message is for the log."""


def _unwatched(gone: Callable[[], None]) -> AbstractContextManager[object]:  # noqa: ARG001
    return nullcontext()


@dataclass(frozen=True, slots=True)
class Client:
    """The caller of a task. In a `watch(gone)` block, `gone` is called if the client leaves."""

    team: str = ""
    watch: Watch = _unwatched


class Offload(Protocol):
    """Runs tasks in another place."""

    def run(
        self,
        client: Client,
        task: "_Task[_Arguments, _Result]",
        *arguments: _Arguments.args,
        **named: _Arguments.kwargs,
    ) -> _Result:
        """Return a task's result. Raises RequestError (bad input), TooCostly and Unavailable."""

    def start(self) -> None:
        """Begin to prepare for the first task."""

    def close(self) -> None:
        """End everything."""


class HelperPool:
    """The helpers of one frontend process."""

    def __init__(self, source: HelperSource, *, quick: int = 2, slow: int = 2) -> None:
        self._source = source
        self._quick = Gate(quick, each=quick, waiting=QUICK_WAITING)
        self._slow = Gate(slow, each=1, waiting=SLOW_WAITING)
        self._idle: list[Helper] = []
        self._cache = AnswerCache()

    def start(self) -> None:
        self._source.start()

    def close(self) -> None:
        while self._idle:
            self._idle.pop().close()
        self._source.close()

    def run(
        self,
        client: Client,
        task: "_Task[_Arguments, _Result]",
        *arguments: _Arguments.args,
        **named: _Arguments.kwargs,  # noqa: ARG002  # none is sent; the type needs them
    ) -> _Result:
        body = request(task.__name__, arguments)
        known = self._cache.get(client.team, body) if task in LASTING else None
        answer = known or self._answer(client, body)
        if answer.outcome == "refused":
            raise msgspec.msgpack.decode(answer.value, type=Refusal).error()
        if answer.outcome == "failed":
            raise TaskFailed(msgspec.msgpack.decode(answer.value, type=str))
        if known is None and task in LASTING:
            self._cache.add(client.team, body, answer)
        result: _Result = msgspec.msgpack.decode(answer.value, type=_result_type(task))
        return result

    def _answer(self, client: Client, body: bytes) -> Answer:
        for _ in range(2):
            try:
                return self._attempt(client, body)
            except HelperDied as died:
                if died.seconds >= self._source.limits.seconds:
                    break  # the time limit ended this one
        raise TooCostly(
            f"needs more than {self._source.limits}, or nests too deeply; simplify the request"
        )

    def _attempt(self, client: Client, body: bytes) -> Answer:
        """Run a task on a quick helper, or continue it among the slow ones."""
        if not self._quick.enter(client.team, WALL_SECONDS):
            raise Overloaded("too many requests are waiting for a helper; try again later")
        stays = False
        try:
            helper = self._idle.pop() if self._idle else self._source.make()
            helper.send(body)
            answer = _answered(helper, QUICK_SECONDS)
            if answer is None:
                stays = self._slow.try_enter(client.team)
        finally:
            self._quick.leave(client.team)
        if answer is None:
            return self._finish_slow(client, body, helper, stays=stays)
        self._give_back(helper, answer)
        return answer

    def _give_back(self, helper: Helper, answer: Answer) -> None:
        if answer.retires:
            helper.close()
        else:
            self._idle.append(helper)

    def _finish_slow(self, client: Client, body: bytes, helper: Helper, *, stays: bool) -> Answer:
        """Finish a task at low priority. `stays`: it already has a place and keeps its helper."""
        task = _Slow(helper)
        with client.watch(task.cancel):
            if not stays:
                helper.close()
                if not self._slow.enter(client.team, WALL_SECONDS):
                    raise Overloaded("too many costly requests are waiting; try again later")
            try:
                if not stays:
                    task.begin(self._source.make, body)
                return task.finish()
            finally:
                self._slow.leave(client.team)
                task.helper.close()


class _Slow:
    """A slow task, which ends when its client leaves."""

    def __init__(self, helper: Helper) -> None:
        self.helper = helper
        self._cancelled = False

    def cancel(self) -> None:
        self._cancelled = True
        self.helper.kill()

    def begin(self, make: Callable[[], Helper], body: bytes) -> None:
        """Start again, on a helper of its own."""
        self._check()
        self.helper = make()
        self.helper.send(body)

    def finish(self) -> Answer:
        self.helper.lower_priority(SLOW_NICE)
        try:
            answer = _answered(self.helper, WALL_SECONDS)
        except HelperDied:
            self._check()
            raise
        if answer is None:
            raise HelperDied("a task took too long", WALL_SECONDS)
        return answer

    def _check(self) -> None:
        if self._cancelled:
            raise StreamCut("the client went away")


def _answered(helper: Helper, seconds: float) -> Answer | None:
    """Return a helper's answer; None if it needs more time. Close a dead helper."""
    try:
        return msgspec.msgpack.decode(helper.answer(seconds), type=Answer)
    except TimeoutError:
        return None
    except (HelperDied, msgspec.DecodeError) as error:
        helper.close()
        if isinstance(error, HelperDied):
            raise
        raise HelperDied("a helper sent no answer") from error


@cache
def _result_type(task: Callable[..., Any]) -> Any:
    return get_type_hints(task)["return"]
