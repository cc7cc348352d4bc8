"""The native dialect's answers: bytes, form and headers."""

from typing import Any

import pytest

from ..serving import Served, spoken

ROUTES = [
    "/",
    "/inference/scripted",
    "/inference/falcon40b",
    "/predictions/scripted",
    "/predictions/falcon40b",
]


@pytest.mark.parametrize("route", ROUTES)
def test_every_route_answers_with_the_reply_as_raw_text(served: Served, route: str) -> None:
    response = served.post(route, text="Hello", seed=3, max_tokens=40)
    assert response.status_code == 200
    assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
    assert response.text == spoken("Hello", 3, 40)


def test_no_cache_and_no_proxy_holds_a_stream_back(served: Served) -> None:
    headers = served.post(text="Hello", max_tokens=1).headers
    assert headers["Cache-Control"] == "no-cache, no-transform"
    assert headers["X-Accel-Buffering"] == "no"
    assert "Content-Length" not in headers


@pytest.mark.slow
def test_every_chunk_is_whole_characters(served: Served) -> None:
    for seed in range(30):
        response = served.stream(text="größer 😀", seed=seed)
        text = "".join(chunk.decode() for chunk in response.iter_encoded())
        response.close()
        assert text == spoken("größer 😀", seed, 128)


def test_the_first_chunk_is_empty_and_sends_the_headers(served: Served) -> None:
    response = served.stream(text="Hello", seed=1)
    assert next(response.iter_encoded()) == b""
    response.close()


def test_the_seed_is_honoured_and_told(served: Served) -> None:
    response = served.post(text="Hello", seed=7, max_tokens=20)
    assert response.headers["X-Rowcast-Seed"] == "7"
    assert response.text == spoken("Hello", 7, 20)


def test_without_a_seed_one_is_drawn_and_told(served: Served) -> None:
    seeds = set()
    for _ in range(3):
        response = served.post(text="Hello", max_tokens=20)
        seed = int(response.headers["X-Rowcast-Seed"])
        assert response.text == spoken("Hello", seed, 20)
        seeds.add(seed)
    assert len(seeds) == 3


def test_the_prompt_is_not_repeated_unless_it_is_asked_for(served: Served) -> None:
    asked: dict[str, Any] = {"text": "größer", "seed": 2, "max_tokens": 9}
    reply = spoken("größer", 2, 9)
    assert served.post(**asked).text == reply
    assert served.post(**asked, return_prompt=True).text == "größer" + reply
    assert served.answer(**asked, return_prompt="true")["answer"] == "größer" + reply


@pytest.mark.parametrize("stop", ["i", " ", "a ", "e d", "ba", "\n", "!", ".", "😀"])
def test_a_stop_sequence_ends_the_reply_and_is_no_part_of_it(served: Served, stop: str) -> None:
    for seed in range(8):
        text = spoken("Hello", seed, 60)
        stopped = served.post(text="Hello", seed=seed, max_tokens=60, stop_sequence=stop).text
        assert stopped == text.split(stop)[0]


def test_an_empty_stop_sequence_is_none(served: Served) -> None:
    reply = served.post(text="Hello", seed=2, max_tokens=9, stop_sequence="").text
    assert reply == spoken("Hello", 2, 9)


def test_the_end_of_text_is_never_sent(served: Served) -> None:
    seed = next(seed for seed in range(10**6) if ends_within(seed, 30))
    answer = served.answer(text="Hello", seed=seed, max_tokens=2048)
    assert answer["finish_reason"] == "stop"
    assert answer["answer"] == spoken("Hello", seed, 2048)


def ends_within(seed: int, tokens: int) -> bool:
    return spoken("Hello", seed, tokens) == spoken("Hello", seed, tokens + 1)


def test_without_streaming_there_is_one_json_object(served: Served) -> None:
    response = served.post(text="Hello", seed=2, max_tokens=9, stream=False)
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["X-Rowcast-Seed"] == "2"
    assert response.get_json() == {
        "answer": spoken("Hello", 2, 9),
        "finish_reason": "length",
        "prompt_tokens": 5,
        "cached_tokens": 0,
        "completion_tokens": 9,
        "seed": 2,
    }


def test_a_stop_sequence_counts_the_tokens_up_to_it(served: Served) -> None:
    counts = {
        served.answer(text="Hello", seed=2, max_tokens=60, stop_sequence=" ")["completion_tokens"]
        for _ in range(5)
    }
    assert counts == {1}


@pytest.mark.parametrize("route", ["/inference/gpt", "/predictions/gpt", "/chat/gpt"])
def test_an_unknown_model_is_refused_with_those_that_are_served(served: Served, route: str) -> None:
    response = served.post(route, text="Hello")
    assert response.status_code == 404
    assert response.get_json() == {
        "status_code": 404,
        "message": "there is no model 'gpt' here; available: scripted, falcon40b",
    }


def test_a_prompt_that_is_too_long_is_refused_not_cut(served: Served) -> None:
    message = served.post(text="x" * 4096).get_json()["message"]
    assert message.startswith("the prompt has 4096 tokens; the model's context holds 4096")


def test_the_longest_prompt_gets_what_room_there_is(served: Served) -> None:
    answer = served.answer(text="x" * 4095, seed=1)
    assert (answer["completion_tokens"], answer["finish_reason"]) == (1, "length")


def test_the_content_type_is_not_looked_at(served: Served) -> None:
    body = '{"text": "Hello", "seed": 2, "max_tokens": 9}'
    for content_type in (None, "application/x-www-form-urlencoded", "text/plain"):
        response = served.client.post("/", data=body, content_type=content_type, buffered=True)
        assert response.text == spoken("Hello", 2, 9)


@pytest.mark.slow
def test_prompts_at_the_same_time_get_their_own_replies(served: Served) -> None:
    streams = [served.stream(text=f"prompt {n}", seed=n) for n in range(40)]
    for n, stream in reversed(list(enumerate(streams))):
        assert stream.text == spoken(f"prompt {n}", n, 128)
        stream.close()
