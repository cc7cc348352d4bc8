"""Background requests of one frontend process, and of two that share a journal.

Covers `background/attempt`, `background/worker`, `watchers`.
"""

import json
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from backend.driven import RecordedEngine
from processes import until
from rowcast.errors import (
    Forbidden,
    KeyReused,
    MalformedRequest,
    Overloaded,
    ReplyCancelled,
    UnknownRequest,
)
from rowcast.frontend.background.background import Background
from rowcast.frontend.request.identity import Caller
from rowcast.frontend.request.request import Body, Request
from rowcast.journal.background.record import BackgroundRequest
from rowcast_telemetry.spans import Tracer
from telemetry.test_spans import Taken

from ..serving import PATIENCE, Served, await_written, serving

pytestmark = pytest.mark.slow

BODY = {"prompt": "Hello", "seed": 7, "max_tokens": 40}
LONG = BODY | {"max_tokens": 2000, "ignore_eos": True}


def begun(served: Served) -> Served:
    served.frontend.background.start(served.frontend.parsing)
    return served


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Served]:
    engine = RecordedEngine(step_seconds=0.002)
    with serving(engine=engine, journal=tmp_path / "journal.db") as made:
        yield begun(made)


def request_of(team: str = "blue", **headers: str) -> Request:
    request = Request(path="/", body=Body(lambda: b""), caller=Caller(team=team))
    for name, value in headers.items():
        request.headers[name.replace("_", "-")] = value
    return request


def accept(
    served: Served,
    body: dict[str, object] = BODY,
    team: str = "blue",
    rows: int = 1,
    **headers: str,
) -> BackgroundRequest:
    content = json.dumps(body).encode()
    return served.frontend.background.accept(
        request_of(team, **headers), kind="task", path="/generate", body=content, rows=rows
    )


def ended(served: Served, accepted: BackgroundRequest) -> BackgroundRequest:
    found = served.frontend.background.wait(
        request_of(accepted.team), "task", accepted.id, PATIENCE
    )
    assert found.has_ended, found
    return found


def phase(served: Served, accepted: BackgroundRequest) -> str:
    found = served.frontend.background.find(Caller(team=accepted.team), "task", accepted.id)
    return found.phase


def await_running(served: Served, accepted: BackgroundRequest) -> None:
    until(lambda: len(served.engine.steps) > 1, "it has a row", PATIENCE)
    assert phase(served, accepted) == "running"


def test_each_attempt_has_a_span_of_its_own(tmp_path: Path) -> None:
    taken = Taken()
    with serving(journal=tmp_path / "journal.db", tracer=Tracer(taken)) as served:
        accepted = accept(begun(served))
        refused = accept(served, {"prompt": "Hello", "max_tokens": "many"})
        for each in (accepted, refused):
            ended(served, each)
    spans = {span.attributes["rowcast.request_id"]: span for span in taken.spans}
    computed = spans[accepted.request_id]
    assert computed.name == "text_completion scripted"
    assert computed.attributes["rowcast.background"] is True
    assert computed.attributes["gen_ai.usage.output_tokens"] == 40
    assert computed.attributes["http.response.status_code"] == 200
    assert spans[refused.request_id].attributes["http.response.status_code"] == 400


def test_the_result_is_that_of_the_same_request_over_http(served: Served) -> None:
    found = ended(served, accept(served))
    assert (found.phase, found.status) == ("finished", 200)
    assert found.result == served.post("/generate", **BODY).data


def test_what_is_refused_fails_with_the_error_of_its_dialect(served: Served) -> None:
    wrong = BODY | {"seed": "x"}
    found = ended(served, accept(served, wrong))
    assert (found.phase, found.status) == ("failed", 400)
    assert found.result == served.post("/generate", **wrong).data
    unknown = ended(served, accept(served, BODY | {"model": "none"}))
    assert (unknown.phase, unknown.status) == ("failed", 404)


def test_an_unexpected_error_is_the_result_of_its_request_alone(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = served.frontend.background.answers
    assert api is not None
    answer = api.answer

    def broken(request: Request) -> object:
        if b"break" in request.body.read():
            raise ZeroDivisionError
        return answer(request)

    monkeypatch.setattr(api, "answer", broken)
    found = ended(served, accept(served, BODY | {"prompt": "break"}))
    assert (found.phase, found.status) == ("failed", 500)
    assert ended(served, accept(served)).phase == "finished"


def test_a_team_sees_no_request_of_another(served: Served) -> None:
    accepted = accept(served)
    background, red = served.frontend.background, Caller(team="red")
    for call in (background.find, background.cancel, background.delete):
        with pytest.raises(UnknownRequest, match="there is no task"):
            call(red, "task", accepted.id)
    with pytest.raises(UnknownRequest):
        background.wait(request_of("red"), "task", accepted.id, 0)
    with pytest.raises(UnknownRequest):
        background.find(Caller(team="blue"), "response", accepted.id)
    assert background.page(red, "task", "", 10) == []
    assert ended(served, accepted).phase == "finished"


def test_cancelling_frees_the_row(served: Served) -> None:
    accepted = accept(served, LONG)
    await_running(served, accepted)
    found = served.frontend.background.cancel(Caller(team="blue"), "task", accepted.id)
    assert found.phase == "cancelled"
    served.await_idle()
    assert phase(served, accepted) == "cancelled"


def test_deleting_frees_the_row_and_leaves_nothing(served: Served) -> None:
    accepted = accept(served, LONG)
    await_running(served, accepted)
    served.frontend.background.delete(Caller(team="blue"), "task", accepted.id)
    served.await_idle()
    with pytest.raises(UnknownRequest):
        phase(served, accepted)


def test_requests_share_the_rows_that_they_take(served: Served) -> None:
    first, second = (accept(served, LONG, rows=10) for _ in range(2))
    small = accept(served, LONG)
    await_running(served, first)
    time.sleep(0.3)
    assert [phase(served, each) for each in (second, small)] == ["queued", "queued"]
    served.frontend.background.cancel(Caller(team="blue"), "task", first.id)
    until(lambda: phase(served, small) == "running", "there are rows for both", PATIENCE)
    assert phase(served, second) == "running"
    for each in (second, small):
        served.frontend.background.cancel(Caller(team="blue"), "task", each.id)


def test_a_reader_joins_the_stream_of_the_worker(served: Served) -> None:
    body = {"text": "Hello", "seed": 3, "max_tokens": 300}
    accepted = served.frontend.background.accept(
        request_of(),
        kind="task",
        path="/inference/scripted",
        body=json.dumps(body).encode(),
        streamed=True,
    )
    api = served.frontend.background.answers
    assert api is not None
    until(lambda: phase(served, accepted) == "running", "it runs", PATIENCE)
    texts = []
    for start in ("", "10"):
        reader = request_of().in_background(accepted, start)
        response = api.answer(reader)
        texts.append(b"".join(response.body))  # type: ignore[arg-type]
        response.close()
        reader.close()
    found = ended(served, accepted)
    assert texts == [found.result, found.result[10:]]
    assert len(served.engine.seatings) == 1, "it was computed once"
    assert found.body, "its readers need it"


def test_another_process_takes_it_over_with_the_same_bytes(tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    with serving(engine=RecordedEngine(step_seconds=0.005), journal=journal) as first:
        begun(first)
        accepted = accept(first, LONG)
        await_running(first, accepted)
        await_written(first)
        first.frontend.background.stop()
    with serving(journal=journal) as second:
        assert phase(second, accepted) == "queued"
        begun(second)
        found = ended(second, accepted)
        drawn = sum(feed.draws for feeds in second.engine.steps for feed in feeds)
        assert 0 < drawn < 2000, "it began with what the first has computed"
        assert found.result == second.post("/generate", **LONG).data


def test_a_wait_ends_once_another_process_has_computed_the_result(tmp_path: Path) -> None:
    journal = tmp_path / "journal.db"
    with serving(journal=journal) as first, serving(journal=journal) as second:
        begun(second)
        second.frontend.background.stop()  # it looks, and computes nothing
        accepted = accept(second)
        begun(first)
        assert ended(second, accepted).phase == "finished"
        assert second.engine.seatings == []


def test_waiting_ends_after_its_time_and_with_its_client(served: Served) -> None:
    accepted = accept(served, LONG)
    background = served.frontend.background
    found = background.wait(request_of(), "task", accepted.id, PATIENCE, {"running"})
    assert found.phase == "running"
    assert background.wait(request_of(), "task", accepted.id, 0.05).phase == "running"

    def leaves(gone: Callable[[], None]) -> Callable[[], None]:
        threading.Timer(0.05, gone).start()
        return lambda: None

    leaving = replace(request_of(), watch=leaves)
    with pytest.raises(ReplyCancelled):
        background.wait(leaving, "task", accepted.id, PATIENCE)
    background.cancel(Caller(team="blue"), "task", accepted.id)


def test_the_same_key_is_the_same_request(served: Served) -> None:
    first = accept(served, BODY, Idempotency_Key="k")
    assert accept(served, BODY, Idempotency_Key="k").id == first.id
    assert accept(served, BODY, Idempotency_Key="k", team="red").id != first.id
    long = accept(served, LONG, Idempotency_Key="other")
    with pytest.raises(KeyReused):
        accept(served, BODY, Idempotency_Key="other")
    ended(served, first)
    assert accept(served, BODY, Idempotency_Key="k").phase == "finished"
    served.frontend.background.cancel(Caller(team="blue"), "task", long.id)


def test_a_failure_that_may_pass_queues_the_request_again_with_the_reason(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    api = served.frontend.background.answers
    assert api is not None
    answer, failing = api.answer, [True]

    def sometimes(request: Request) -> object:
        if failing:
            raise Overloaded("the line is full", 1)
        return answer(request)

    monkeypatch.setattr(api, "answer", sometimes)
    accepted = accept(served)
    find = served.frontend.background.find
    until(
        lambda: find(Caller(team="blue"), "task", accepted.id).reason == "the line is full",
        "it was queued again",
        PATIENCE,
    )
    failing.clear()
    assert ended(served, accepted).phase == "finished"


def test_a_team_has_a_limit(tmp_path: Path) -> None:
    with serving(journal=tmp_path / "j.db", settings={"background_requests": 2}) as served:
        accept(served)
        accept(served)
        with pytest.raises(Overloaded, match="2 may be"):
            accept(served)
        accept(served, team="red")


def test_without_a_journal_nothing_is_accepted() -> None:
    with serving() as served:
        begun(served)
        with pytest.raises(MalformedRequest, match="JOURNAL is off"):
            accept(served)
        assert isinstance(served.frontend.background, Background)


def test_callers_whose_team_is_unknown_are_refused(served: Served) -> None:
    request = Request(path="/", body=Body(lambda: b""), caller=Caller(keeps=False))
    with pytest.raises(Forbidden, match="PROXY_SECRET"):
        served.frontend.background.accept(request, kind="task", path="/generate", body=b"{}")


def test_a_request_whose_build_is_gone_begins_anew_unless_it_may_have_been_read(
    tmp_path: Path,
) -> None:
    journal = tmp_path / "journal.db"
    with serving(engine=RecordedEngine(step_seconds=0.01), journal=journal) as first:
        begun(first)
        accepted = accept(first, LONG)
        read = first.frontend.background.accept(
            request_of(),
            kind="task",
            path="/generate",
            body=json.dumps(LONG).encode(),
            streamed=True,
        )
        until(lambda: len(first.engine.seatings) == 2, "both have rows", PATIENCE)
        await_written(first, 2)
        first.frontend.background.stop()
    other = RecordedEngine()
    other.fingerprint = "another build"
    with serving(engine=other, journal=journal) as second:
        begun(second)
        assert ended(second, accepted).phase == "finished"
        found = ended(second, read)
        assert (found.phase, found.status) == ("failed", 409)


def test_it_makes_room_for_a_prompt_that_waits_and_goes_on_later(tmp_path: Path) -> None:
    engine = RecordedEngine(rows=1, step_seconds=0.002)
    with serving(engine=engine, journal=tmp_path / "journal.db") as served:
        begun(served)
        body = BODY | {"max_tokens": 1200, "ignore_eos": True}
        accepted = accept(served, body)
        await_running(served, accepted)
        await_written(served)
        answer = served.post("/generate", **BODY)
        assert answer.status_code == 200
        assert phase(served, accepted) != "finished", "the prompt did not wait for its end"
        found = ended(served, accepted)
        drawn = sum(feed.draws for feeds in engine.steps for feed in feeds)
        assert drawn < 1200 + 40 + 400, "it went on from what was computed"
        assert found.result == served.post("/generate", **body).data
