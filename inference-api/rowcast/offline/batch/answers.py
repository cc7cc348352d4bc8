"""From responses to the lines of the output file.

OpenAI's form   {"id", "custom_id", "response": {"status_code", "request_id", "body"}, "error"}
the plain form  what was sent, and {"text", "finish_reason"}, {"message", …} or {"error"}
"""

import json
from collections.abc import Mapping
from typing import Any

from rowcast.offline.batch.api import Answered
from rowcast.offline.batch.lines import Fault, Task
from rowcast.serving.client import message_of


def line_of(task: Task, answered: Answered) -> bytes:
    """Return the output's line for an answer."""
    if task.custom_id is None:
        return _encoded({**task.copied, **_plain(answered)})
    response = {
        "status_code": answered.status,
        "request_id": f"batch-{task.number}",
        "body": answered.body,
    }
    return _encoded(_line(task.number, task.custom_id, response, None))


def line_of_fault(fault: Fault) -> bytes:
    """Return the output's line for a line that is not a request."""
    message = str(fault.error)
    if fault.plain:
        return _encoded({**fault.copied, "error": message})
    error = {"code": "invalid_request", "message": message}
    return _encoded(_line(fault.number, fault.custom_id, None, error))


def tokens_in(answered: Answered) -> int:
    """Return how many tokens were generated, by an answer's usage; 0 without one."""
    usage = answered.body.get("usage")
    return int(usage.get("completion_tokens", 0)) if isinstance(usage, dict) else 0


def _line(number: int, custom_id: str | None, response: object, error: object) -> dict[str, object]:
    return {
        "id": f"batch_req_{number:012d}",
        "custom_id": custom_id,
        "response": response,
        "error": error,
    }


def _plain(answered: Answered) -> dict[str, Any]:
    if answered.status >= 400:
        return {"error": message_of(answered.body)}
    choices = [_choice(each) for each in answered.body["choices"]]
    return choices[0] if len(choices) == 1 else {"choices": choices}


def _choice(choice: Mapping[str, Any]) -> dict[str, Any]:
    """Return text or message, and what else a choice has."""
    return {name: value for name, value in choice.items() if name != "index" and value is not None}


def _encoded(line: Mapping[str, Any]) -> bytes:
    return json.dumps(line, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"
