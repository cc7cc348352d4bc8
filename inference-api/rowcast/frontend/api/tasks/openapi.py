"""OpenAPI operations of tasks."""

from collections.abc import Mapping
from typing import Any

from rowcast.frontend.api.generate.body import PromptBody, TextBody
from rowcast.frontend.api.generate.errors import PROMPT_ERROR
from rowcast.frontend.api.operation import (
    BODY_ERRORS,
    JSON,
    READ_ERRORS,
    Operation,
    Schema,
)
from rowcast.frontend.api.tasks.answer import Submitted, Task, TaskList
from rowcast.frontend.api.tasks.statuses import STATES, STATUSES

_ID: Schema = {"name": "task", "in": "path", "required": True, "schema": {"type": "string"}}
_STATUS: Schema = {
    "name": "target_status",
    "in": "query",
    "description": "Answer once the task has this status, or has ended",
    "schema": {"enum": list(dict.fromkeys((*STATES.values(), *STATUSES.values())))},
}
_TIMEOUT: Schema = {
    "name": "timeout",
    "in": "query",
    "description": "Answer after this many seconds at the latest",
    "schema": {"type": "integer", "minimum": 0, "maximum": 60},
}
_LIMIT: Schema = {
    "name": "limit",
    "in": "query",
    "description": "The number of tasks in the page",
    "schema": {"type": "integer", "minimum": 1, "maximum": 1000},
}
_AFTER: Schema = {
    "name": "after",
    "in": "query",
    "description": "`next` of the previous page",
    "schema": {"type": "string"},
}
_FOUND = (400, 404, *READ_ERRORS)  # 400 also if there is no journal


def _operation(method: str, path: str, summary: str, answer: type, **more: Any) -> Operation:
    described: dict[str, Any] = {
        "answers": {JSON: answer},
        "errors": _FOUND,
        "parameters": (_ID,),
        "error": PROMPT_ERROR,
    }
    return Operation(method=method, path=path, tag="tasks", summary=summary, **described | more)


def _list(path: str, summary: str) -> Operation:
    more: Mapping[str, Any] = {
        "errors": (400, *READ_ERRORS),
        "parameters": (_LIMIT, _AFTER),
    }
    return _operation("get", path, summary, TaskList, **more)


OPERATIONS = (
    _operation(
        "post",
        "/send_text",
        "Accept a prompt, whose reply is fetched later",
        Submitted,
        body=(TextBody, PromptBody),
        example={"text": "San Francisco is a", "max_tokens": 7, "temperature": 0},
        errors=(*BODY_ERRORS, 409),
        parameters=(),
    ),
    _operation("get", "/get_task_status/{task}", "A task as it is, with its result", Task),
    _operation(
        "get",
        "/poll_task_status/{task}",
        "A task once it has a status",
        Task,
        parameters=(_ID, _STATUS, _TIMEOUT),
    ),
    _list("/tasks", "The tasks of the caller's team, the latest first"),
    _list("/tasks/", "As /tasks"),
    _operation("get", "/tasks/{task}", "As /get_task_status/{task}", Task),
    _operation("post", "/tasks/{task}/cancel", "End a task", Task),
    _operation(
        "delete", "/tasks/{task}", "End a task, and delete it", Task, answers={}, success=204
    ),
)
