"""The native dialect's events: numbered pieces, one end, and comments during silence."""

import json
from typing import Any

import pytest

from backend.driven import RecordedEngine
from rowcast.backend.decode_backend import Limits

from ..serving import Served, lasting_seed, serving, spoken


def events(body: str) -> list[dict[str, Any]]:
    """Return the events of a stream; `data` is parsed, comments are left out."""
    assert body.endswith("\n\n")
    found = []
    for block in body[:-2].split("\n\n"):
        lines = [line for line in block.split("\n") if not line.startswith(":")]
        event: dict[str, Any] = dict(line.split(": ", 1) for line in lines)
        if event:
            found.append(event | {"data": json.loads(event["data"])})
    return found


def text_of(found: list[dict[str, Any]]) -> str:
    return "".join(event["data"]["text"] for event in found if "event" not in event)


@pytest.mark.parametrize("model", ["scripted", "falcon40b"])
def test_a_reply_is_events_and_one_end(served: Served, model: str) -> None:
    response = served.post(f"/chat/{model}", text="Hello", seed=3, max_tokens=40)
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert response.headers["X-Rowcast-Seed"] == "3"
    *pieces, end = events(response.text)
    assert text_of(pieces) == spoken("Hello", 3, 40)
    assert end == {
        "event": "end",
        "data": {
            "finish_reason": "length",
            "prompt_tokens": 5,
            "cached_tokens": 0,
            "completion_tokens": 40,
            "seed": 3,
        },
    }


def test_each_piece_says_how_many_tokens_have_been_told(served: Served) -> None:
    *pieces, _ = events(served.post("/chat/scripted", text="Hello", seed=3).text)
    told = [int(piece["id"].rstrip("r")) for piece in pieces]
    assert told == sorted(set(told))
    assert told[-1] == 128
    assert all(piece["data"]["text"] for piece in pieces)


def test_text_is_sent_as_it_is_not_escaped(served: Served) -> None:
    seed = next(s for s in range(1000) if "😀" <= max(spoken("Hello", s, 128)) <= "😿")
    assert (
        max(spoken("Hello", seed, 128))
        in served.post("/chat/scripted", text="Hello", seed=seed).text
    )


def test_the_prompt_comes_first_when_it_is_asked_for(served: Served) -> None:
    asked: dict[str, Any] = {"text": "Hello", "seed": 3, "max_tokens": 5, "return_prompt": True}
    first, *rest = events(served.post("/chat/scripted", **asked).text)
    assert first == {"id": "0b", "data": {"text": "Hello"}}
    assert int(rest[0]["id"].rstrip("r")) >= 1
    assert text_of(rest) == spoken("Hello", 3, 5)


def test_a_stop_sequence_ends_it_with_stop(served: Served) -> None:
    asked: dict[str, Any] = {"text": "Hello", "seed": 3, "max_tokens": 40, "stop_sequence": " "}
    (end,) = events(served.post("/chat/scripted", **asked).text)
    assert (end["data"]["finish_reason"], end["data"]["completion_tokens"]) == ("stop", 1)


def test_without_streaming_it_answers_like_the_others(served: Served) -> None:
    asked: dict[str, Any] = {"text": "Hello", "seed": 3, "max_tokens": 5, "stream": False}
    assert served.post("/chat/scripted", **asked).get_json() == served.post("/", **asked).get_json()


def test_it_is_refused_like_the_others(served: Served) -> None:
    response = served.post("/chat/scripted", text="Hello", top_k=0)
    assert response.status_code == 400
    assert response.get_json() == served.post("/", text="Hello", top_k=0).get_json()


@pytest.mark.slow
def test_a_reply_that_fails_ends_with_an_error_event() -> None:
    engine = RecordedEngine(step_seconds=0.01)
    with serving(engine=engine, limits=Limits(reply_seconds=0.15)) as served:
        seed = lasting_seed("Hello", 500)
        response = served.post("/chat/scripted", text="Hello", seed=seed, max_tokens=2048)
        *pieces, error = events(response.text)
        assert error == {
            "event": "error",
            "data": {"status_code": 500, "message": "the time limit (REPLY_SECONDS) passed"},
        }
        assert spoken("Hello", seed, 500).startswith(text_of(pieces))


@pytest.mark.slow
def test_comments_come_while_it_is_silent() -> None:
    hasty = {"comment_seconds": 0.01}
    with serving(engine=RecordedEngine(step_seconds=0.1), settings=hasty) as served:
        body = served.post("/chat/scripted", text="Hello", seed=3, max_tokens=3).text
        assert "\n\n: waiting\n" in body
        assert ": waiting\n\n" not in body
        *pieces, end = events(body)
        assert text_of(pieces) == spoken("Hello", 3, 3)
        assert end["data"]["completion_tokens"] == 3
