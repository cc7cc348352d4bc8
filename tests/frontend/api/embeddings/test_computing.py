"""Groups of prompts at the backend: few at a time, given up with their client, never mixed up."""

import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from backend.driven import RecordedEngine
from processes import until
from rowcast.backend.decode_backend import Limits
from rowcast.engine.engine import Drawn, Feed
from rowcast.frontend.api.embeddings.computing import Watches

from ...serving import PATIENCE, Served, journal_of, serving
from ..openai.asking import refusal
from .asking import PATH, expected, vectors

TEXTS = [f"text {at}" for at in range(300)]


def test_a_request_takes_no_more_of_the_line_than_keeps_the_rows_busy(served: Served) -> None:
    waiting: list[int] = []
    step = served.engine.step

    def counted(feeds: list[Feed]) -> list[Drawn]:
        waiting.append(served.backend.status().waiting)
        return step(feeds)

    served.engine.step = counted  # type: ignore[method-assign,assignment]
    try:
        assert vectors(served, input=TEXTS) == [expected(text.encode()) for text in TEXTS]
    finally:
        del served.engine.step
    assert max(waiting) <= 32


def test_a_full_line_refuses_the_first_group_and_lets_later_ones_wait() -> None:
    slow = RecordedEngine(rows=2, step_seconds=0.002)
    with serving(engine=slow, limits=Limits(waiting=20)) as served:
        assert vectors(served, input=TEXTS[:80]) == [expected(each.encode()) for each in TEXTS[:80]]
    with serving(engine=RecordedEngine(rows=2), limits=Limits(waiting=2)) as served:
        error = refusal(served.post(PATH, model="scripted", input=TEXTS), 503)
        assert error["code"] == "overloaded"


@pytest.mark.parametrize("count", [1, 300])
def test_a_client_that_leaves_frees_its_rows(count: int) -> None:
    slow = RecordedEngine(width=8, step_seconds=0.01)
    with serving(engine=slow) as served:
        ours, theirs = socket.socketpair()
        answers: list[Any] = []
        sending = threading.Thread(
            target=lambda: answers.append(
                served.stream(PATH, ours, model="scripted", input=["a" * 2000] * count)
            )
        )
        sending.start()
        until(lambda: not served.backend.idle, "a row is seated", PATIENCE)
        theirs.close()
        sending.join(PATIENCE)
        assert not sending.is_alive()
        served.await_idle()
        assert answers[0].status_code == 500
        assert served.engine.computed < count * 2000
        answers[0].close()
        ours.close()


def test_a_deadline_ends_all_groups() -> None:
    with serving(engine=RecordedEngine(width=8, step_seconds=0.01)) as served:
        response = served.client.post(
            PATH,
            json={"model": "scripted", "input": ["a" * 2000] * 100},
            headers={"X-Request-Timeout": "0.3"},
        )
        assert refusal(response, 504)["code"] == "deadline_exceeded"
        served.await_idle()


def test_one_prompt_that_fails_fails_the_request_and_frees_the_others() -> None:
    class Broken(RecordedEngine):
        def step(self, feeds: Any) -> list[Drawn]:
            drawn = super().step(feeds)
            bad = {feed.row for feed in feeds if ord("!") in feed.tokens}
            return [
                Drawn(each.row, (), problem="the model's numbers are not finite")
                if each.row in bad
                else each
                for each in drawn
            ]

    with serving(engine=Broken()) as served:
        texts = [*TEXTS[:40], "broken!", *TEXTS[40:]]
        error = refusal(served.post(PATH, model="scripted", input=texts), 500)
        assert "not finite" in error["message"]
        served.await_idle()
        assert vectors(served, input=TEXTS[:3]) == [expected(each.encode()) for each in TEXTS[:3]]


def test_a_backend_that_ends_a_prompt_without_its_vector_is_an_error(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    straight = served.backend._advance

    def silent(reply: Any, drawn: Drawn) -> None:
        straight(reply, Drawn(drawn.row, drawn.tokens))

    monkeypatch.setattr(served.backend, "_advance", silent)
    error = refusal(served.post(PATH, model="scripted", input="Hello"), 500)
    assert "without its vector" in error["message"]


def test_nothing_of_it_is_stored_in_the_journal(tmp_path: Path) -> None:
    with serving(journal=tmp_path / "journal.db") as served:
        for key in ("first", "first", "second"):
            response = served.client.post(
                PATH,
                json={"model": "scripted", "input": "Hello"},
                headers={"Idempotency-Key": key},
            )
            assert response.get_json()["data"][0]["embedding"] == expected(b"Hello")
            assert "X-Stream-ID" not in response.headers
        assert not journal_of(served).sync.owned


def test_several_watches_of_one_client() -> None:
    watches, seen = Watches(), list[str]()
    watches.watch(lambda: seen.append("one"))
    forget = watches.watch(lambda: seen.append("forgotten"))
    forget()
    watches.report()
    assert seen == ["one"]
    watches.watch(lambda: seen.append("late"))
    assert seen == ["one", "late"]
    assert watches.gone
