"""P-13, P-22, P-24, P-25 and N-04: tasks and batches over real processes, and through the proxy."""

import http.client
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai
import pytest

from contract.conftest import JWT_SECRET, PROXY_SECRET, encoded
from processes import Running, running_proxy, running_server, until
from scripted_replies import scripted_reply

TEXT = "Hello, how are you?"
PATIENCE = 60.0

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Team:
    """A team that sends its requests through the proxy."""

    proxy: Running
    authorization: str

    def send(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """Return status and JSON of an answer."""
        connection = http.client.HTTPConnection("127.0.0.1", self.proxy.port, timeout=70)
        try:
            sent = None if body is None else json.dumps(body)
            headers = {"Authorization": self.authorization, "Content-Type": "application/json"}
            connection.request(method, path, sent, headers)
            response = connection.getresponse()
            content = response.read()
            return response.status, json.loads(content) if content else None
        finally:
            connection.close()

    def openai(self) -> openai.OpenAI:
        token = self.authorization.removeprefix("Bearer ")
        return openai.OpenAI(base_url=f"http://127.0.0.1:{self.proxy.port}/v1", api_key=token)


@dataclass(frozen=True)
class Stack:
    """Two teams of one proxy, and the server behind it."""

    server: Running
    blue: Team
    red: Team


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    folder: Path = tmp_path_factory.mktemp("tasks")
    secrets = {"JWT_SECRET": JWT_SECRET, "PROXY_SECRET": PROXY_SECRET}
    more = {"JOURNAL": str(folder / "journal.db"), "STEP_SECONDS": "0.005"}
    with (
        running_server(folder, env=secrets | more) as server,
        running_proxy(folder, server, env=secrets) as proxy,
    ):
        blue, red = (
            Team(proxy, f"Bearer {encoded(json.dumps({'team_id': team, 'token_id': 't'}))}")
            for team in ("blue", "red")
        )
        yield Stack(server, blue, red)


def submitted(team: Team, **more: object) -> str:
    status, answer = team.send("POST", "/send_text", {"text": TEXT, "seed": 4} | more)
    assert status == 200, answer
    name: str = answer["task_id"]
    return name


def test_p22_a_submitted_text_is_answered_at_once_with_a_task(stack: Stack) -> None:
    status, answer = stack.blue.send(
        "POST",
        "/send_text",
        {"text": TEXT, "model_name": "scripted", "dyn_batch": 4, "speculative_decoding": False},
    )
    assert status == 200
    assert len(answer["task_id"]) == 36


def test_p13_a_page_polls_until_the_task_has_succeeded(stack: Stack) -> None:
    task = submitted(stack.blue, max_tokens=100)
    status, answer = stack.blue.send("GET", f"/poll_task_status/{task}?target_status=SUCCESS")
    assert status == 200
    assert answer["status"] == "SUCCESS"
    assert answer["result"] == scripted_reply(TEXT, 4, 100).text


def test_p24_a_status_is_processing_then_finished_or_failed(stack: Stack) -> None:
    task = submitted(stack.blue, max_tokens=300, ignore_eos=True)
    _, answer = stack.blue.send("GET", f"/get_task_status/{task}")
    assert (answer["status"], answer["state"] in {"PENDING", "STARTED"}) == ("processing", True)
    stack.blue.send("GET", f"/poll_task_status/{task}?target_status=finished")
    _, answer = stack.blue.send("GET", f"/get_task_status/{task}")
    assert (answer["status"], answer["state"]) == ("finished", "SUCCESS")
    bad = submitted(stack.blue, text="x" * 100_000)
    _, answer = stack.blue.send("GET", f"/poll_task_status/{bad}?target_status=failed")
    assert (answer["status"], answer["status_code"]) == ("failed", 400)


def test_p25_a_team_lists_and_touches_its_own_tasks_alone(stack: Stack) -> None:
    task = submitted(stack.blue)
    for path in ("/tasks/", "/tasks"):
        _, mine = stack.blue.send("GET", path)
        assert task in {each["task_id"] for each in mine["tasks"]}
        assert stack.red.send("GET", path) == (200, {"tasks": [], "next": None})
    for method, path in (
        ("GET", f"/get_task_status/{task}"),
        ("GET", f"/poll_task_status/{task}"),
        ("GET", f"/tasks/{task}"),
        ("POST", f"/tasks/{task}/cancel"),
        ("DELETE", f"/tasks/{task}"),
    ):
        status, answer = stack.red.send(method, path)
        assert (status, answer["status_code"]) == (404, 404)
    assert stack.blue.send("DELETE", f"/tasks/{task}") == (204, None)
    assert stack.blue.send("GET", f"/tasks/{task}")[0] == 404


def test_n04_a_task_is_accepted_durably_and_computed_after_a_kill(tmp_path: Path) -> None:
    env = {"JOURNAL": str(tmp_path / "journal.db"), "STEP_SECONDS": "0.01"}
    with running_server(tmp_path, env=env) as first:
        team = Team(first, "")
        tasks = [submitted(team, seed=seed, max_tokens=150) for seed in range(24)]
        until(lambda: "STARTED" in str(team.send("GET", "/tasks")), "some are computed", PATIENCE)
        time.sleep(0.3)
        first.process.kill()
        first.process.wait(PATIENCE)
    with running_server(tmp_path, env=env) as second:
        team = Team(second, "")
        for seed, task in enumerate(tasks):
            _, answer = team.send("GET", f"/poll_task_status/{task}?target_status=finished")
            assert answer["result"] == scripted_reply(TEXT, seed, 150).text
        _, listed = team.send("GET", "/tasks")
        assert [each["task_id"] for each in listed["tasks"]] == tasks[::-1]


def test_n04_openai_s_client_runs_batches_unchanged(stack: Stack) -> None:
    client = stack.blue.openai()
    lines = [
        {
            "custom_id": f"request-{seed}",
            "method": "POST",
            "url": "/v1/completions",
            "body": {"model": "scripted", "prompt": TEXT, "seed": seed, "max_tokens": 20},
        }
        for seed in range(20)
    ]
    content = "\n".join(map(json.dumps, lines)).encode()
    file = client.files.create(file=("in.jsonl", content), purpose="batch")
    assert client.files.content(file.id).content == content
    batch = client.batches.create(
        input_file_id=file.id,
        endpoint="/v1/completions",
        completion_window="24h",
        metadata={"run": "1"},
    )
    until(lambda: client.batches.retrieve(batch.id).status == "completed", "it completes", PATIENCE)
    batch = client.batches.retrieve(batch.id)
    assert batch.request_counts is not None
    assert (batch.request_counts.total, batch.request_counts.completed) == (20, 20)
    assert batch.output_file_id is not None
    results = [json.loads(each) for each in client.files.content(batch.output_file_id).iter_lines()]
    for seed, result in enumerate(results):
        assert result["custom_id"] == f"request-{seed}"
        text = result["response"]["body"]["choices"][0]["text"]
        assert text == scripted_reply(TEXT, seed, 20).text
    assert batch.id in {each.id for each in client.batches.list(limit=1)}
    other = stack.red.openai()
    assert list(other.batches.list()) == []
    assert list(other.files.list()) == []
    for call in (
        lambda: other.batches.retrieve(batch.id),
        lambda: other.batches.cancel(batch.id),
        lambda: other.files.content(file.id),
        lambda: other.files.delete(file.id),
    ):
        with pytest.raises(openai.NotFoundError):
            call()
    assert client.files.delete(file.id).deleted
