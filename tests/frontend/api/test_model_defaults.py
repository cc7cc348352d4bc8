"""Defaults of a model for its requests: length, number of replies, tokens per chunk.

A request's own value overrides them.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.test import TestResponse

from engine.rule import reply
from rowcast.text.chat.template import ChatTemplate

from ..serving import Served, lasting_seed, serving, spoken
from .openai.saying import SayingEngine
from .openai.thinking import OPENED

SEED = lasting_seed("Hello", 60)
TEXT: dict[str, Any] = {"model": "scripted", "prompt": "Hello", "seed": SEED}
CHAT: dict[str, Any] = {
    "model": "scripted",
    "messages": [{"role": "user", "content": "Hello"}],
    "seed": SEED,
}
COMPLETIONS, CHATS = "/v1/completions", "/v1/chat/completions"


@pytest.fixture(scope="module")
def configured() -> Iterator[Served]:
    defaults = {"max_new_tokens": 30, "num_return_sequences": 3, "streaming_chunks": 8}
    with serving(settings=defaults) as served:
        yield served


def texts(response: TestResponse) -> list[str]:
    """Return the texts of a stream's events, without empty ones."""
    assert response.status_code == 200, response.text
    events = [
        json.loads(line.removeprefix("data: "))
        for line in response.text.splitlines()
        if line.startswith("data: {")
    ]
    choices = [choice for event in events for choice in event.get("choices", [event])]
    found = [each.get("text") or each.get("delta", {}).get("content") for each in choices]
    return [text for text in found if text]


def test_the_length_of_a_reply(configured: Served) -> None:
    native = configured.post(text="Hello", seed=SEED)
    assert native.text == spoken("Hello", SEED, 30)
    assert configured.post(text="Hello", seed=SEED, max_tokens=9).text == spoken("Hello", SEED, 9)
    whole = configured.post(COMPLETIONS, **TEXT, n=1).get_json()
    assert whole["choices"][0]["text"] == spoken("Hello", SEED, 30)
    echoed = configured.post(COMPLETIONS, **TEXT, n=1, max_tokens=0, echo=True).get_json()
    assert echoed["choices"][0]["text"] == "Hello"
    chat = configured.post(CHATS, **CHAT, n=1).get_json()
    assert chat["usage"]["completion_tokens"] <= 30


def test_it_may_exceed_the_bound_of_a_request() -> None:
    with serving(settings={"max_new_tokens": 3000}) as served:
        tokens, reason = reply(b"Hello", SEED, 3000)
        answer = served.answer(text="Hello", seed=SEED)
        assert (answer["completion_tokens"], answer["finish_reason"]) == (len(tokens), reason)


@pytest.mark.parametrize(("path", "body"), [(COMPLETIONS, TEXT), (CHATS, CHAT)])
def test_the_number_of_replies(configured: Served, path: str, body: dict[str, Any]) -> None:
    choices = configured.post(path, **body).get_json()["choices"]
    assert [each["index"] for each in choices] == [0, 1, 2]
    assert len(configured.post(path, **body, n=2).get_json()["choices"]) == 2


@pytest.mark.parametrize(("best_of", "count"), [(2, 2), (3, 3), (5, 3)])
def test_it_is_never_more_than_are_computed(configured: Served, best_of: int, count: int) -> None:
    choices = configured.post(COMPLETIONS, **TEXT, best_of=best_of).get_json()["choices"]
    assert len(choices) == count


def test_a_raw_stream_has_several_tokens_per_chunk(configured: Served) -> None:
    response = configured.stream(text="Hello", seed=SEED, max_tokens=20)
    chunks = [chunk.decode() for chunk in response.iter_encoded() if chunk]
    response.close()
    assert "".join(chunks) == spoken("Hello", SEED, 20)
    assert len(chunks) == 3


def test_events_have_several_tokens_each(configured: Served) -> None:
    for path, body in (("/chat/scripted", {"text": "Hello", "seed": SEED}), (COMPLETIONS, TEXT)):
        sent = texts(configured.post(path, **body, max_tokens=20, **_streamed(path)))
        assert "".join(sent) == spoken("Hello", SEED, 20)
        assert len(sent) == 3


def _streamed(path: str) -> dict[str, Any]:
    return {"stream": True, "n": 1} if path == COMPLETIONS else {}


def test_ids_of_events_count_tokens(configured: Served) -> None:
    response = configured.post("/chat/scripted", text="Hello", seed=SEED, max_tokens=20)
    ids = [line for line in response.text.splitlines() if line.startswith("id: ")]
    assert ids == ["id: 8", "id: 16", "id: 20r"]


def test_every_choice_has_chunks_of_its_own(configured: Served) -> None:
    body = {**CHAT, "stream": True, "max_tokens": 16}
    whole = configured.post(CHATS, **{**body, "stream": False}).get_json()["choices"]
    streamed = configured.post(CHATS, **body).text
    found: dict[int, list[str]] = {0: [], 1: [], 2: []}
    for line in streamed.splitlines():
        if line.startswith("data: {"):
            for choice in json.loads(line.removeprefix("data: "))["choices"]:
                if text := choice["delta"].get("content"):
                    found[choice["index"]].append(text)
    for choice in whole:
        pieces = found[choice["index"]]
        assert "".join(pieces) == choice["message"]["content"]
        assert len(pieces) <= 3


def test_a_stop_sequence_ends_a_chunk(configured: Served) -> None:
    text = spoken("Hello", SEED, 20)
    stop = text[12:15]
    sent = texts(configured.post(COMPLETIONS, **TEXT, stream=True, n=1, max_tokens=20, stop=stop))
    assert "".join(sent) == text[: text.index(stop)]


def test_reasoning_and_text_are_chunks_of_their_own() -> None:
    engine = SayingEngine("A thought of some length.\n</think>\n\nHello to you, and to all.")
    with serving(
        engine=engine, chat=ChatTemplate(OPENED), settings={"streaming_chunks": 10}
    ) as served:
        whole = served.post(CHATS, **CHAT).get_json()
        message = whole["choices"][0]["message"]
        streamed = served.post(CHATS, **CHAT, stream=True, stream_options={"include_usage": True})
    chunks = [
        json.loads(line.removeprefix("data: "))
        for line in streamed.text.splitlines()
        if line.startswith("data: {")
    ]
    deltas = [choice["delta"] for chunk in chunks for choice in chunk["choices"]]
    thoughts = [delta["reasoning"] for delta in deltas if "reasoning" in delta]
    answers = [delta["content"] for delta in deltas if delta.get("content")]
    assert ("".join(thoughts), "".join(answers)) == (message["reasoning"], message["content"])
    assert len(thoughts) <= 4
    assert len(answers) <= 4
    details = whole["usage"]["completion_tokens_details"]
    assert chunks[-1]["usage"]["completion_tokens_details"] == details
