"""The whole server is killed again and again while it accepts and computes tasks.

Each task is submitted with an idempotency key, and again with the same one if the kill came before
its answer. At the end the server's list of tasks must have each once, with the reply of an
undisturbed server.
"""

from __future__ import annotations

import contextlib
import json
import random
from collections.abc import Iterator, Sequence
from time import perf_counter, sleep
from typing import Any

from commands.chaos.claim import Claim, Finding, Sizes
from commands.chaos.context import Context
from commands.chaos.traffic.content import content, difference
from commands.chaos.traffic.crowd import Crowd
from commands.chaos.traffic.flow import PATIENCE, Truth, undisturbed
from commands.chaos.traffic.request import Request
from http_client.json_server import JsonServer
from local.server import Server

AT_ONCE = 100  # tasks submitted between two kills
WIDTH = 32
LONGEST = 160  # tokens
PAGE = 1000
SECONDS_PER_TASK = 5.0  # on a slow machine


def _run(context: Context, dice: random.Random, size: int) -> Finding:
    found, submitted = Finding(), list[tuple[str, Request]]()
    journal = context.folder / "journal.db"
    with context.server(JOURNAL=journal, step=0.01) as server:
        for number in range(1, size + 1):
            fresh = [_request(dice, number * AT_ONCE + at) for at in range(AT_ONCE)]
            submitted += _submitted(server, fresh, dice)
            context.progress(f"{number} of {size} kills")
        client = JsonServer(url=f"http://127.0.0.1:{server.port}", token=None, seconds=60, agent="")
        slow = _unended(client, len(submitted) * SECONDS_PER_TASK)
        found.expect(not slow, f"{slow} tasks have not ended")
        truth = undisturbed(server, [request for _, request in submitted])
        listed = [each["task_id"] for each in _listed(client)]
        names = [name for name, _ in submitted]
        found.expect(len(set(names)) == len(names), "two submissions have the same task")
        found.expect(sorted(listed) == sorted(names), "a task is listed twice, or not at all")
        found.faults += filter(None, (_fault(client, *each, truth) for each in submitted))
    found.figures.append(
        f"{size} kills, {len(submitted)} tasks accepted, each with one result, "
        f"{len(found.faults)} faults"
    )
    found.expect(len(submitted) == size * AT_ONCE, "not every task was accepted")
    return found


def _request(dice: random.Random, number: int) -> Request:
    body = {"prompt": f"task {number}", "seed": number, "max_tokens": dice.randint(1, LONGEST)}
    return Request.of("generate", "json", "/generate", dict(body))


def _submitted(
    server: Server, requests: Sequence[Request], dice: random.Random
) -> list[tuple[str, Request]]:
    """Submit tasks, kill and start the server meanwhile, and submit again what was not answered."""
    missing, names = list(enumerate(requests)), dict[int, str]()
    kill_after: int | None = dice.randrange(AT_ONCE)
    limit = perf_counter() + PATIENCE
    while missing and perf_counter() < limit:
        part = missing[:WIDTH]
        with contextlib.closing(Crowd(server.port)) as crowd:
            readings = [crowd.begin(_keyed(request)) for _, request in part]
            for _ in range(dice.randrange(60)):
                crowd.turn()
            if kill_after is not None and len(names) + WIDTH > kill_after:
                sleep(dice.random())
                server.kill()
                kill_after = None
            crowd.drain(PATIENCE)
        for (at, _), reading in zip(part, readings, strict=True):
            if reading.whole and reading.status == 200:
                names[at] = json.loads(bytes(reading.body))["task_id"]
        if kill_after is None and not server.runs:
            server.start()
        missing = [(at, request) for at, request in missing if at not in names]
    return [(names[at], request) for at, request in enumerate(requests) if at in names]


def _keyed(request: Request) -> Request:
    """Return the request that submits this one as a task, always under the same key."""
    body = json.loads(request.body)
    return Request.of("task", "json", "/send_text", body).keyed(f"task-{body['seed']}")


def _unended(client: JsonServer, patience: float) -> int:
    """Wait until all tasks have ended; return how many have not."""
    limit = perf_counter() + patience
    while True:
        open_tasks = [each for each in _listed(client) if each["status"] == "processing"]
        if not open_tasks or perf_counter() > limit:
            return len(open_tasks)
        client.get(f"/poll_task_status/{open_tasks[0]['task_id']}?target_status=finished")


def _listed(client: JsonServer) -> Iterator[dict[str, Any]]:
    """Yield all tasks, page after page."""
    after = ""
    while after is not None:
        page = client.get(f"/tasks/?limit={PAGE}&after={after}")
        yield from page["tasks"]
        after = page["next"]


def _fault(client: JsonServer, name: str, request: Request, truth: Truth) -> str | None:
    """Return what is wrong with a task, or None."""
    task = client.get(f"/get_task_status/{name}")
    if task["status"] != "finished":
        return f"task {name} is {task['status']}: {task.get('error')}"
    got = content("json", json.dumps(task["response"]).encode())
    return None if got == truth[request] else f"task: {difference(truth[request], got)}"


CLAIM = Claim(
    "tasks",
    "The whole server is killed while it accepts and computes tasks: each has one result, equal "
    "bytes",
    Sizes(test=1, ci=2, full=10),
    "kills, with 100 tasks each",
    _run,
)
