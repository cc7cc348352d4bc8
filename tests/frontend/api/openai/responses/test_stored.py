"""Stored responses: read again from any event, continued, listed, deleted; only by their team.

Covers `stored/records`, `stored/chain`, `stored/listing`, `stored/retrieving`,
`stored/background`, `stored/following`, `response/errors`, `openai/responses`.
"""

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from openai.types.responses import ResponseItem
from pydantic import TypeAdapter

from rowcast.frontend.api.openai.responses import DIALECT
from rowcast.frontend.background.worker import Worker

from ....serving import Served, journal_of, serving
from ..asking import refusal
from ..saying import SayingEngine
from .requesting import PATH, events, get, kinds, parsed, respond, send, stream, texts

_ITEM: TypeAdapter[Any] = TypeAdapter(ResponseItem)
OTHER = {"X-Rowcast-Team": "other"}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(journal=tmp_path_factory.mktemp("stored") / "journal.db") as made:
        made.frontend.background.start(made.frontend.parsing)
        yield made


def ended(served: Served, name: str) -> dict[str, Any]:
    """Return a response in the background once it has ended."""
    for _ in range(2000):
        found = parsed(get(served, name))
        if found["status"] not in {"queued", "in_progress"}:
            return found
        time.sleep(0.01)
    raise AssertionError("it does not end")


def test_a_response_is_read_again(served: Served) -> None:
    first = send(served, seed=5, max_output_tokens=6)
    assert get(served, first.get_json()["id"]).data == first.data


@pytest.mark.parametrize("background", [False, True])
def test_events_are_read_again_from_any_of_them(served: Served, background: bool) -> None:
    first = send(served, stream=True, seed=5, max_output_tokens=6, background=background)
    found = events(first)
    name = found[0]["response"]["id"]
    blocks = [block + "\n\n" for block in first.text.split("\n\n") if "data:" in block]
    for after in (0, 1, 4, len(found) - 2):
        again = get(served, name, stream="true", starting_after=after)
        assert events(again, after) == found[after + 1 :]
    last = len(found) - 2
    header = {"Last-Event-ID": str(last)}
    client = served.client
    rest = client.get(f"{PATH}/{name}?stream=true", headers=header, buffered=True)
    assert rest.text.removeprefix(": waiting\n") == blocks[-1]
    whole = parsed(get(served, name))
    assert whole == found[-1]["response"]


def test_a_position_must_be_one(served: Served) -> None:
    name = respond(served, max_output_tokens=2)["id"]
    for more in ({}, {"stream": "true"}):
        for position in ("x", ""):
            answer = get(served, name, starting_after=position, **more)
            assert refusal(answer)["param"] == "starting_after"
    assert refusal(get(served, name, stream="maybe"))["param"] == "stream"


def test_unknown_foreign_and_unstored_responses_are_404(served: Served) -> None:
    stored = respond(served, max_output_tokens=2)["id"]
    hidden = respond(served, max_output_tokens=2, background=True)["id"]
    unstored = respond(served, max_output_tokens=2, store=False)["id"]
    chat = served.post(
        "/v1/chat/completions", model="scripted", messages=[{"role": "user", "content": "x"}]
    )
    stream_id = f"resp_{chat.get_json()['id'].removeprefix('chatcmpl-')}"
    client = served.client
    for name, headers in (
        ("resp_00ff", {}),
        ("none", {}),
        (stream_id, {}),
        (unstored, {}),
        (stored, OTHER),
        (hidden, OTHER),
    ):
        for method, path in (
            ("GET", ""),
            ("DELETE", ""),
            ("POST", "/cancel"),
            ("GET", "/input_items"),
        ):
            answer = client.open(f"{PATH}/{name}{path}", method=method, headers=headers)
            error = refusal(answer, 404)
            assert (error["code"], error["param"]) == ("response_not_found", None)
            assert error["message"] == (
                f"Response with id {name!r} not found: it was not stored, or has expired"
            )
    answer = client.post(
        PATH,
        json={"model": "scripted", "input": "x", "previous_response_id": stored},
        headers=OTHER,
    )
    error = refusal(answer, 404)
    assert error["code"] == "previous_response_not_found"
    assert error["param"] == "previous_response_id"


def test_a_chain_holds_the_whole_conversation(served: Served) -> None:
    first = respond(served, input="One", seed=1, max_output_tokens=3)
    second = respond(
        served,
        input=[{"role": "user", "content": "Two"}],
        seed=2,
        max_output_tokens=3,
        previous_response_id=first["id"],
        instructions="Be brief.",
    )
    assert second["previous_response_id"] == first["id"]
    said = texts(first)[0]
    alone = [
        {"role": "user", "content": "One"},
        {"role": "assistant", "content": said},
        {"role": "user", "content": "Two"},
    ]
    same = respond(served, input=alone, instructions="Be brief.", max_output_tokens=3, seed=2)
    assert (same["usage"], texts(same)) == (second["usage"], texts(second))
    served.client.delete(f"{PATH}/{first['id']}")
    assert parsed(get(served, second["id"])) == second, "it is complete in itself"
    third = respond(served, input="Three", max_output_tokens=3, previous_response_id=second["id"])
    items = get(served, f"{third['id']}/input_items", order="asc").get_json()
    shown_texts = [item["content"][0]["text"] for item in items["data"]]
    assert shown_texts == ["One", said, "Two", texts(second)[0], "Three"]
    for item in items["data"]:
        _ITEM.validate_python(item, strict=True)


def test_input_items_come_in_pages(served: Served) -> None:
    turns = [{"role": "user", "content": str(number)} for number in range(5)]
    name = respond(served, input=turns, max_output_tokens=2)["id"]
    first = get(served, f"{name}/input_items", limit=3).get_json()
    assert [item["content"][0]["text"] for item in first["data"]] == ["4", "3", "2"]
    assert first["has_more"] is True
    rest = get(served, f"{name}/input_items", limit=3, after=first["last_id"]).get_json()
    assert [item["content"][0]["text"] for item in rest["data"]] == ["1", "0"]
    assert (rest["has_more"], rest["first_id"]) == (False, rest["data"][0]["id"])
    for query in ({"limit": "0"}, {"order": "no"}, {"order": ""}, {"after": "msg_none"}):
        assert refusal(get(served, f"{name}/input_items", **query))["param"] in query


@pytest.mark.parametrize("background", [False, True])
def test_a_deleted_response_is_gone(served: Served, background: bool) -> None:
    name = respond(served, max_output_tokens=2, background=background)["id"]
    answer = served.client.delete(f"{PATH}/{name}")
    assert answer.get_json() == {"id": name, "object": "response", "deleted": True}
    refusal(get(served, name), 404)
    refusal(served.client.delete(f"{PATH}/{name}"), 404)


def test_a_response_in_the_background(served: Served) -> None:
    accepted = respond(served, seed=5, max_output_tokens=6, background=True)
    assert (accepted["status"], accepted["output"]) == ("queued", [])
    found = ended(served, accepted["id"])
    expected = respond(served, seed=5, max_output_tokens=6)
    assert texts(found) == texts(expected)
    assert found["background"] is True
    assert (found["id"], found["created_at"]) == (accepted["id"], accepted["created_at"])
    seen = stream(served, seed=5, max_output_tokens=6, background=True)
    assert kinds(seen)[:3] == ["created", "queued", "in_progress"]
    assert [each["response"]["status"] for each in seen[:3]] == [
        *("queued", "queued"),
        "in_progress",
    ]
    later = respond(served, previous_response_id=found["id"], max_output_tokens=2)
    assert later["usage"]["input_tokens"] > expected["usage"]["input_tokens"]


def test_who_has_the_last_event_finds_the_result(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = Worker._store

    def slowly(*ending: Any) -> None:
        time.sleep(0.3)
        store(*ending)

    monkeypatch.setattr(Worker, "_store", slowly)
    seen = stream(served, seed=8, max_output_tokens=6, background=True)
    assert kinds(seen)[-1] == "incomplete"
    found = parsed(get(served, seen[0]["response"]["id"]))
    assert found == seen[-1]["response"]


def test_an_idempotency_key_gives_one_response_in_the_background(served: Served) -> None:
    body = {"model": "scripted", "input": "x", "max_output_tokens": 2, "background": True}
    client, header = served.client, {"Idempotency-Key": "once"}
    names = {client.post(PATH, json=body, headers=header).get_json()["id"] for _ in range(3)}
    assert len(names) == 1
    ended(served, names.pop())


def test_only_the_background_is_cancelled(served: Served) -> None:
    name = respond(served, max_output_tokens=2)["id"]
    error = refusal(served.client.post(f"{PATH}/{name}/cancel"))
    assert error["param"] == "response_id"


def test_a_cancelled_response(tmp_path: Path) -> None:
    engine = SayingEngine("Hello")
    with serving(engine=engine, journal=tmp_path / "journal.db") as waiting:
        name = respond(waiting, max_output_tokens=2, background=True)["id"]
        cancelled = parsed(waiting.client.post(f"{PATH}/{name}/cancel"))
        assert (cancelled["status"], cancelled["output"]) == ("cancelled", [])
        assert parsed(get(waiting, name)) == cancelled
        (*_, last) = lines = get(waiting, name, stream="true").text.strip().split("\n\n")
        assert len(lines) == 3
        assert "response.failed" in last
        assert '"status":"cancelled"' in last
        error = refusal(send(waiting, previous_response_id=name))
        assert error["message"].endswith("it was cancelled")


def test_a_response_that_fails_in_the_background(served: Served) -> None:
    accepted = respond(served, input="x" * 20_000, background=True)
    found = ended(served, accepted["id"])
    assert found["status"] == "failed"
    assert found["error"]["code"] == "server_error"
    assert "context" in found["error"]["message"]
    again = get(served, accepted["id"], stream="true")
    assert "event: response.failed" in again.text


def test_without_a_journal_nothing_is_stored() -> None:
    with serving() as bare:
        name = respond(bare, max_output_tokens=2)["id"]
        refusal(get(bare, name), 404)
        assert "JOURNAL" in refusal(send(bare, background=True))["message"]


def test_a_response_that_has_ended_is_not_being_computed(served: Served) -> None:
    journal = journal_of(served)
    name = respond(served, max_output_tokens=2)["id"]
    record = journal.find(name.removeprefix("resp_"), "")
    assert not journal.is_computed(record.id)


def test_errors_in_a_stream_are_events() -> None:
    block = DIALECT.error_event(503, "no model", None).decode()
    assert block.startswith("event: error\ndata: ")
    assert '"type":"error"' in block
    assert '"message":"no model"' in block
