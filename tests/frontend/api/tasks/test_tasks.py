"""The dialect of tasks: submitting, polling in the words of two systems, lists, cancelling.

Covers `api/tasks`, `tasks/handlers`, `tasks/answer`, `tasks/openapi`, `statuses`.
"""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from werkzeug.test import TestResponse

from backend.driven import RecordedEngine
from rowcast.frontend.request.identity import Caller

from ...serving import Served, serving, spoken

pytestmark = pytest.mark.slow

TEXT = {"text": "Hello", "seed": 4}
LONG = TEXT | {"max_tokens": 3000, "ignore_eos": True}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    engine = RecordedEngine(step_seconds=0.002)
    folder: Path = tmp_path_factory.mktemp("tasks")
    with serving(engine=engine, journal=folder / "journal.db") as made:
        made.frontend.background.start(made.frontend.parsing)
        yield made


def submit(served: Served, body: dict[str, Any] = TEXT, **headers: str) -> str:
    response = served.client.post("/send_text", json=body, headers=headers, buffered=True)
    assert response.status_code == 200, response.text
    answer = response.get_json()
    assert (answer["status"], answer["state"]) == ("processing", "PENDING")
    name: str = answer["task_id"]
    return name


def get(served: Served, path: str, **headers: str) -> TestResponse:
    return served.client.get(path, headers=headers, buffered=True)


def poll(served: Served, task: str, target: str = "finished") -> dict[str, Any]:
    answer: dict[str, Any] = get(
        served, f"/poll_task_status/{task}?target_status={target}"
    ).get_json()
    return answer


def test_a_task_has_the_result_that_generate_would_give(served: Served) -> None:
    task = submit(served, TEXT | {"dyn_batch": 4, "speculative_decoding": True})
    answer = poll(served, task)
    assert (answer["status"], answer["state"]) == ("finished", "SUCCESS")
    assert answer["result"] == spoken("Hello", 4, 16)
    assert answer["response"] == served.post("/generate", **TEXT).get_json()
    assert answer["created"] <= answer["started"] <= answer["ended"]
    assert get(served, f"/get_task_status/{task}").get_json() == answer
    assert get(served, f"/tasks/{task}").get_json() == answer


@pytest.mark.parametrize(
    ("target", "shown"), [("SUCCESS", "SUCCESS"), ("finished", "finished"), ("STARTED", "SUCCESS")]
)
def test_the_status_is_in_the_words_of_the_target(served: Served, target: str, shown: str) -> None:
    task = submit(served)
    poll(served, task)
    assert poll(served, task, target)["status"] == shown


def test_polling_answers_with_the_present_state_after_its_time(served: Served) -> None:
    task = submit(served, LONG)
    path = f"/poll_task_status/{task}"
    assert get(served, f"{path}?target_status=STARTED").get_json()["status"] == "STARTED"
    assert get(served, f"{path}?timeout=0").get_json()["state"] == "STARTED"
    assert get(served, f"{path}?timeout=0&target_status=finished").get_json()["status"] == (
        "processing"
    )
    served.client.delete(f"/tasks/{task}", buffered=True)


def test_a_task_takes_a_row_for_each_choice(served: Served) -> None:
    task = submit(served, TEXT | {"n": 3})
    assert served.frontend.background.find(Caller(), "task", task).rows == 3
    assert poll(served, task)["status"] == "finished"


def test_a_cancelled_task_frees_its_row_and_stays(served: Served) -> None:
    task = submit(served, LONG)
    poll(served, task, "STARTED")
    answer = served.client.post(f"/tasks/{task}/cancel", buffered=True).get_json()
    assert (answer["status"], answer["state"]) == ("cancelled", "REVOKED")
    served.await_idle()
    assert poll(served, task)["status"] == "cancelled"
    assert served.client.post(f"/tasks/{task}/cancel", buffered=True).get_json() == answer


def test_a_deleted_task_is_gone(served: Served) -> None:
    task = submit(served, LONG)
    assert served.client.delete(f"/tasks/{task}", buffered=True).status_code == 204
    for path in (f"/tasks/{task}", f"/get_task_status/{task}", f"/poll_task_status/{task}"):
        assert get(served, path).status_code == 404
    assert served.client.delete(f"/tasks/{task}", buffered=True).status_code == 404
    served.await_idle()


def test_a_failed_task_shows_its_error(served: Served) -> None:
    task = submit(served, {"text": "x" * 5000})
    answer = poll(served, task)
    assert (answer["status"], answer["state"]) == ("failed", "FAILURE")
    assert answer["status_code"] == 400
    assert "context" in answer["error"]
    assert "result" not in answer


@pytest.mark.parametrize(
    ("body", "status", "word"),
    [
        ({}, 400, "text"),
        ({"text": 5}, 400, "text"),
        ({"text": "a", "prompt": "b"}, 400, "text"),
        ({"text": "a", "stream": True}, 400, "stream"),
        ({"text": "a", "inputs": "b"}, 400, "inputs"),
        ({"text": "a", "temperature": "hot"}, 400, "temperature"),
        ({"text": "a", "model_name": "vicuna_q2"}, 404, "vicuna_q2"),
    ],
)
def test_what_is_wrong_with_a_body_is_an_error_at_once(
    served: Served, body: dict[str, Any], status: int, word: str
) -> None:
    response = served.client.post("/send_text", json=body, buffered=True)
    assert response.status_code == status
    answer = response.get_json()
    assert word in answer["message"]
    assert answer["message"] == answer["detail"] == answer["error"]


@pytest.mark.parametrize(
    "query",
    [
        "target_status=DONE",
        "timeout=61",
        "timeout=-1",
        "timeout=x",
        "timeout=9e9",
        "timeout=00000000061",
    ],
)
def test_a_wrong_query_is_a_400(served: Served, query: str) -> None:
    task = submit(served)
    assert get(served, f"/poll_task_status/{task}?{query}").status_code == 400
    assert get(served, f"/tasks?limit={query[-1]}x").status_code == 400


def test_teams_see_their_own_tasks_in_pages(served: Served) -> None:
    red, blue = {"X-Rowcast-Team": "red"}, {"X-Rowcast-Team": "blue"}
    tasks = [submit(served, TEXT, **red) for _ in range(5)]
    listed: list[str] = []
    after: str | None = ""
    while after is not None:
        page = get(served, f"/tasks/?limit=2&after={after}", **red).get_json()
        listed += [each["task_id"] for each in page["tasks"]]
        after = page["next"]
    assert listed == tasks[::-1]
    assert get(served, "/tasks", **blue).get_json() == {"tasks": [], "next": None}
    for path in (f"/tasks/{tasks[0]}", f"/poll_task_status/{tasks[0]}"):
        assert get(served, path, **blue).status_code == 404
    assert (
        served.client.delete(f"/tasks/{tasks[0]}", headers=blue, buffered=True).status_code == 404
    )
    assert get(served, f"/tasks/{tasks[0]}", **red).status_code == 200
