"""A task as its owner sees it."""

from typing import Literal

import msgspec
from msgspec import UNSET, Struct, UnsetType

from rowcast.frontend.api.tasks.statuses import STATES, Target
from rowcast.journal.background.record import BackgroundRequest

Status = Literal[
    "processing", "finished", "failed", "cancelled",
    "PENDING", "STARTED", "SUCCESS", "FAILURE", "REVOKED",
]  # fmt: skip
State = Literal["PENDING", "STARTED", "SUCCESS", "FAILURE", "REVOKED"]


class Submitted(Struct, kw_only=True):
    """POST /send_text."""

    task_id: str
    status: Status
    state: State


class Task(Submitted, kw_only=True):
    """One task. Times are seconds since 1970."""

    created: float
    started: float | None = None
    ended: float | None = None
    result: str | UnsetType = UNSET  # the first reply
    response: msgspec.Raw | UnsetType = UNSET  # what /generate would have answered
    error: str | UnsetType = UNSET  # why it has failed, or why it is queued again
    status_code: int | UnsetType = UNSET  # with which /generate would have refused it


class TaskList(Struct, kw_only=True):
    """GET /tasks: tasks without their results, the latest first."""

    tasks: list[Task]
    next: str | None  # send it as `after` to get the next page


class _Result(Struct):
    result: str


class _Error(Struct):
    message: str


def shown(found: BackgroundRequest, target: Target) -> Task:
    """Return a task in the words of `target`."""
    task = msgspec.convert(
        {
            "task_id": found.id,
            "status": target.words[found.phase],
            "state": STATES[found.phase],
            "created": found.created,
            "started": found.started,
            "ended": found.ended,
        },
        Task,
    )
    if found.phase == "failed":
        task.status_code = found.status
    if found.reason:
        task.error = found.reason
    elif found.result:
        _show_result(task, found)
    return task


def _show_result(task: Task, found: BackgroundRequest) -> None:
    if found.phase == "failed":
        task.error = msgspec.json.decode(found.result, type=_Error).message
    else:
        task.result = msgspec.json.decode(found.result, type=_Result).result
        task.response = msgspec.Raw(found.result)
