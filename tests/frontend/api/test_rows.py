"""GET /v1/rows: the own team's rows in full, the others' as occupied, once or every second.

Covers `frontend/watching/dials`, `documents/rows`.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.test import TestResponse
from werkzeug.wrappers import Response

from backend.driven import RecordedEngine
from processes import until
from rowcast.backend.decode_backend import Limits

from ..serving import SECRET, Served, lasting_seed, serving

PATH = "/v1/rows"
EVENTS = {"Accept": "text/event-stream"}
SEED = lasting_seed("on and on", 1000)
FREE_ROWS = 4


def of_team(name: str) -> dict[str, str]:
    return {"X-Rowcast-Proxy": "1", "X-Rowcast-Proxy-Secret": SECRET, "X-Rowcast-Team": name}


BLUE, RED = of_team("blue"), of_team("red")


@pytest.fixture(scope="module")
def slow() -> Iterator[Served]:
    """A server of few rows whose replies take long."""
    engine = RecordedEngine(rows=FREE_ROWS, step_seconds=0.01)
    with serving(engine=engine, limits=Limits(8), settings={"row_watchers": 2}) as served:
        yield served


def begin(served: Served, team: dict[str, str]) -> TestResponse:
    """Begin a stream that lasts; its reader must close it."""
    body = {"text": "on and on", "max_tokens": 1000, "seed": SEED}
    response = served.client.post("/", json=body, headers=team, buffered=False)
    next(iter(response.response))
    return response


def seen(served: Served, team: dict[str, str]) -> dict[str, Any]:
    response = served.client.get(PATH, headers=team)
    assert (response.status_code, response.headers["Cache-Control"]) == (200, "no-store")
    report = response.get_json()
    assert report["object"] == "rows"
    (model,) = report["models"]
    return dict(model)


def occupied(served: Served, team: dict[str, str]) -> list[dict[str, Any]]:
    return [row for row in seen(served, team)["rows"] if row]


def test_an_idle_model_has_free_rows(slow: Served) -> None:
    until(lambda: occupied(slow, BLUE) == [], "all rows are free")
    model = seen(slow, BLUE)
    assert model["id"] == "scripted"
    assert model["state"] == "ready"
    assert model["rows"] == [None] * FREE_ROWS
    assert model["waiting"] == {"own": 0, "all": 0}
    assert "prefixes" not in model
    of_all = seen(slow, BLUE | {"X-Rowcast-Admin": "true"})["prefixes"]
    assert of_all == {"looked_up": 0, "found": 0}, "only administrators see counts of tokens"


def test_the_own_rows_are_shown_in_full_and_the_others_as_occupied(slow: Served) -> None:
    with begin(slow, BLUE), begin(slow, RED):
        until(lambda: len(occupied(slow, BLUE)) == 2, "two rows")
        own = next(row for row in occupied(slow, BLUE) if row["own"])
        other = next(row for row in occupied(slow, BLUE) if not row["own"])
        assert own["prompt_tokens"] == len("on and on")
        assert own["phase"] == "decode"
        until(lambda: reply_tokens(slow) > own["reply_tokens"], "the reply goes on")
        assert set(other) == {"row", "own"}
        names = {row["row"] for row in occupied(slow, RED) if row["own"]}
        assert names == {other["row"]}
        until(lambda: seen(slow, RED)["tokens_per_second"] > 0, "tokens are counted")
        assert seen(slow, RED)["steps"] > 0


def reply_tokens(served: Served) -> int:
    return int(next(row["reply_tokens"] for row in occupied(served, BLUE) if row["own"]))


def test_a_row_is_named_by_the_stream_that_its_team_reads(slow: Served) -> None:
    body = {"model": "scripted", "prompt": "on and on", "stream": True, "max_tokens": 1000}
    body |= {"seed": SEED, "ignore_eos": True}
    path = "/v1/completions"
    with slow.client.post(path, json=body, headers=BLUE, buffered=False) as response:
        lines = (line for chunk in text_of(response) for line in chunk.splitlines())
        event = next(line for line in lines if line.startswith("data: "))
        name = json.loads(event[6:])["id"].removeprefix("cmpl-")
        until(
            lambda: name in [row.get("stream") for row in occupied(slow, BLUE)], "the stream's row"
        )


def test_waiting_prompts_are_counted(slow: Served) -> None:
    streams = [begin(slow, BLUE) for _ in range(FREE_ROWS)]
    body = {"text": "on and on", "max_tokens": 1000, "seed": SEED}
    waiting = [slow.client.post("/", json=body, headers=team) for team in (BLUE, RED, RED)]
    until(lambda: seen(slow, RED)["waiting"] == {"own": 2, "all": 3}, "three wait")
    assert seen(slow, BLUE)["waiting"] == {"own": 1, "all": 3}
    for each in [*waiting, *streams]:
        each.close()


def test_without_a_shared_secret_a_proxys_callers_own_no_row() -> None:
    engine = RecordedEngine(step_seconds=0.01)
    with serving(engine=engine, settings={"proxy_secret": None}) as served:
        proxied = {"X-Rowcast-Proxy": "1"}
        with begin(served, proxied), begin(served, {}):
            until(lambda: len(occupied(served, {})) == 2, "two rows")
            assert [row["own"] for row in occupied(served, proxied)] == [False, False]
            assert sorted(row["own"] for row in occupied(served, {})) == [False, True]


def text_of(response: Response) -> Iterator[str]:
    """Yield the chunks of a body as they arrive."""
    for chunk in response.response:
        assert isinstance(chunk, bytes)
        yield chunk.decode()


def first_event(response: Response) -> dict[str, Any]:
    event = next(text_of(response))
    assert (event[:6], event[-2:]) == ("data: ", "\n\n")
    return dict(json.loads(event.removeprefix("data: ")))


def test_the_event_stream_sends_the_same_object_again_and_again(slow: Served) -> None:
    with slow.client.get(PATH, headers=BLUE | EVENTS, buffered=False) as response:
        assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
        assert first_event(response)["object"] == "rows"
        assert first_event(response)["models"][0]["id"] == "scripted"


def test_a_team_reads_a_bounded_number_of_event_streams(slow: Served) -> None:
    readers = [slow.client.get(PATH, headers=BLUE | EVENTS, buffered=False) for _ in range(2)]
    refused = slow.client.get(PATH, headers=BLUE | EVENTS)
    assert refused.status_code == 503
    assert "ROW_WATCHERS" in refused.get_json()["error"]["message"]
    assert refused.headers["Retry-After"]
    with slow.client.get(PATH, headers=RED | EVENTS, buffered=False) as other:
        assert other.status_code == 200
    assert slow.client.get(PATH, headers=BLUE).status_code == 200
    for each in readers:
        each.close()
    with slow.client.get(PATH, headers=BLUE | EVENTS, buffered=False) as again:
        assert again.status_code == 200


def test_a_head_begins_no_event_stream(slow: Served) -> None:
    response = slow.client.head(PATH, headers=BLUE | EVENTS)
    assert (response.status_code, response.data) == (200, b"")


def test_event_streams_end_when_the_server_stops() -> None:
    with serving() as served:
        team = BLUE | EVENTS
        with served.client.get(PATH, headers=team, buffered=False) as response:
            chunks = iter(response.response)
            next(chunks)
            served.frontend.dials.stop()
            assert list(chunks) == []
