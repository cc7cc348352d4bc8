"""The functions of the tasks' routes: each finds the caller's task and shows it."""

from rowcast.errors import InvalidField
from rowcast.frontend.api.generate.prompts import body_of
from rowcast.frontend.api.openai.response.response import json_answer
from rowcast.frontend.api.tasks.answer import Submitted, TaskList, shown
from rowcast.frontend.api.tasks.statuses import FINISHED, target_of
from rowcast.frontend.background.row_count import row_count
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.request.query import whole_number
from rowcast.frontend.request.request import Request
from rowcast.frontend.response import Response

KIND = "task"
PATH = "/generate"  # computes the result
POLL_SECONDS, LONGEST_POLL = 30, 60
PAGE, LONGEST_PAGE = 100, 1000


def send_text(frontend: Frontend, request: Request) -> Response:
    """Accept a task. What is wrong with its body, or its model's name, is an error now."""
    sent = request.body.json(plain=True)
    body = body_of(sent)
    if body.stream:
        raise InvalidField("stream", "has no place in a task; leave it out, or use /generate")
    frontend.models.find(body.wanted_model)
    accepted = frontend.background.accept(
        request, kind=KIND, path=PATH, body=request.body.read(), rows=row_count(PATH, sent)
    )
    task = shown(accepted, FINISHED)
    return json_answer(Submitted(task_id=task.task_id, status=task.status, state=task.state))


def status(frontend: Frontend, request: Request) -> Response:
    """Show a task as it is."""
    found = frontend.background.find(request.caller, KIND, request.names["task"])
    return json_answer(shown(found, FINISHED))


def poll(frontend: Frontend, request: Request) -> Response:
    """Show a task once it has the target's status or has ended, or when the time is over."""
    target = target_of(request.query.get("target_status", "SUCCESS"))
    seconds = whole_number(request.query, "timeout", POLL_SECONDS, 0, LONGEST_POLL)
    found = frontend.background.wait(request, KIND, request.names["task"], seconds, target.phases)
    return json_answer(shown(found, target))


def listed(frontend: Frontend, request: Request) -> Response:
    """Show a page of the team's tasks, the latest first."""
    count = whole_number(request.query, "limit", PAGE, 1, LONGEST_PAGE)
    after = request.query.get("after", "")
    found = frontend.background.page(request.caller, KIND, after, count + 1)
    page = [shown(each, FINISHED) for each in found[:count]]
    more = page[-1].task_id if page and len(found) > count else None
    return json_answer(TaskList(tasks=page, next=more))


def cancel(frontend: Frontend, request: Request) -> Response:
    """End a task; one that has ended stays as it is."""
    found = frontend.background.cancel(request.caller, KIND, request.names["task"])
    return json_answer(shown(found, FINISHED))


def delete(frontend: Frontend, request: Request) -> Response:
    """End a task, and delete it with its result."""
    frontend.background.delete(request.caller, KIND, request.names["task"])
    return Response(status=204)
