"""Bodies with `inputs`, answered as TGI did: text, details, events, errors.

Covers `generate/tgi`, `tgi/body`, `tgi/info`, `tgi/request`, `tgi/stream`, `tgi/tokens`,
`tgi/types`, `tgi/whole`.
"""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from backend.driven import RecordedEngine
from engine import rule
from rowcast.backend.decode_backend import Limits
from rowcast.scripted_vocabulary import END, TEXTS

from ....serving import Served, lasting_seed, serving, spoken

LENGTHY = lasting_seed("Hello", 60)
ENDING = next(seed for seed in range(10**4) if rule.reply(b"Hello", seed, 90)[1] == "stop")


def parameters(**fields: Any) -> dict[str, Any]:
    return {"inputs": "Hello", "parameters": {"seed": LENGTHY, "max_new_tokens": 20} | fields}


def generated(served: Served, **fields: Any) -> dict[str, Any]:
    response = served.post("/generate", **parameters(**fields))
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.get_json()
    return found


def events_of(text: str) -> list[dict[str, Any]]:
    lines = [line for line in text.splitlines() if line.startswith("data:")]
    return [json.loads(line.removeprefix("data:")) for line in lines]


def streamed(served: Served, path: str = "/generate_stream", **fields: Any) -> list[dict[str, Any]]:
    response = served.post(path, **parameters(**fields), stream=True)
    assert response.headers["Content-Type"].startswith("text/event-stream"), response.text
    return events_of(response.text)


def test_a_text_is_generated(served: Served) -> None:
    assert generated(served) == {"generated_text": spoken("Hello", LENGTHY, 20)}
    full = generated(served, return_full_text=True)
    assert full == {"generated_text": "Hello" + spoken("Hello", LENGTHY, 20)}


def test_the_root_answers_with_a_list_of_one(served: Served) -> None:
    response = served.post("/", **parameters())
    assert response.get_json() == [{"generated_text": spoken("Hello", LENGTHY, 20)}]
    assert streamed(served, "/") == streamed(served) == streamed(served, "/generate")


def test_the_root_answers_other_bodies_natively(served: Served) -> None:
    assert served.post("/", text='"inputs"', seed=3, max_tokens=9).text == spoken('"inputs"', 3, 9)
    refused = served.client.post("/", data=b'{"inputs"', buffered=True)
    assert set(refused.get_json()) == {"status_code", "message"}


def test_by_default_the_likeliest_hundred_tokens_are_generated(served: Served) -> None:
    served.post("/generate", inputs="Hello")
    served.post("/generate", inputs="Hello", parameters={"temperature": 1.0})
    for seating in served.engine.seatings:
        assert (seating.params.temperature, seating.params.max_tokens) == (0, 100)


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        ({"do_sample": True}, {"temperature": 1.0}),
        ({"temperature": 0.7}, {"temperature": 0.7}),
        ({"top_k": 5}, {"top_k": 5, "temperature": 1.0}),
        ({"top_p": 0.5}, {"top_p": 0.5, "temperature": 1.0}),
        ({"repetition_penalty": 1.2}, {"repetition_penalty": 1.2, "temperature": 0}),
        ({"frequency_penalty": 0.2}, {"frequency_penalty": 0.2, "temperature": 0}),
    ],
)
def test_a_parameter_of_sampling_makes_it_sample(
    served: Served, fields: dict[str, Any], expected: dict[str, Any]
) -> None:
    details = generated(served, **fields, details=True)["details"]
    (seating,) = served.engine.seatings
    assert {name: getattr(seating.params, name) for name in expected} == expected
    assert details["seed"] == (LENGTHY if expected.get("temperature") else None)


def test_details_have_every_token(served: Served) -> None:
    answer = generated(served, details=True)
    details = answer["details"]
    tokens, _ = rule.reply(b"Hello", LENGTHY, 20)
    assert [each["id"] for each in details["tokens"]] == list(tokens)
    assert "".join(each["text"] for each in details["tokens"]) == answer["generated_text"]
    assert all(each["logprob"] < 0 and not each["special"] for each in details["tokens"])
    assert (details["finish_reason"], details["generated_tokens"]) == ("length", 20)
    assert details["prefill"] == []
    assert not {"top_tokens", "best_of_sequences"} & details.keys()


def test_details_have_the_prompt_on_request(served: Served) -> None:
    details = generated(served, decoder_input_details=True)["details"]
    assert [(each["id"], each["text"]) for each in details["prefill"]] == [
        (ord(char), char) for char in "Hello"
    ]
    first, *others = details["prefill"]
    assert first["logprob"] is None
    assert all(each["logprob"] < 0 for each in others)


def test_the_likeliest_tokens_are_named_on_request(served: Served) -> None:
    details = generated(served, details=True, top_n_tokens=3)["details"]
    assert {len(each) for each in details["top_tokens"]} == {3}
    ((first, *_), *_) = details["top_tokens"]
    assert first["text"] == TEXTS[first["id"]].decode()
    events = streamed(served, details=True, top_n_tokens=3)
    assert [each["top_tokens"] for each in events] == details["top_tokens"]


def test_the_end_of_text_is_a_token_without_text(served: Served) -> None:
    body: dict[str, Any] = {"seed": ENDING, "max_new_tokens": 90, "details": True}
    answer = generated(served, **body)
    details = answer["details"]
    tokens, _ = rule.reply(b"Hello", ENDING, 90)
    assert answer["generated_text"] == spoken("Hello", ENDING, 90)
    assert details["finish_reason"] == "eos_token"
    assert details["generated_tokens"] == len(tokens) + 1
    last = details["tokens"][-1]
    assert last == {"id": END, "text": "", "logprob": None, "special": True}
    assert [each["token"] for each in streamed(served, **body)] == details["tokens"]


def test_a_stop_sequence_is_part_of_the_text(served: Served) -> None:
    text = spoken("Hello", LENGTHY, 20)
    stop = text[: text.index(" ", 9)][-2:]  # at the end of a token, as TGI requires
    body: dict[str, Any] = {"stop": [stop, "\0"], "details": True}
    answer = generated(served, **body)
    assert answer["generated_text"].endswith(stop)
    assert text.startswith(answer["generated_text"])
    assert answer["generated_text"].count(stop) == 1
    assert answer["details"]["finish_reason"] == "stop_sequence"
    events = streamed(served, **body)
    assert [each["token"] for each in events] == answer["details"]["tokens"]
    assert events[-1]["generated_text"] == answer["generated_text"]
    assert generated(served, stop=[stop])["generated_text"] == answer["generated_text"]


@pytest.mark.parametrize("seed", range(12))
def test_a_stream_has_an_event_for_each_token(served: Served, seed: int) -> None:
    body: dict[str, Any] = {"seed": seed, "max_new_tokens": 40, "details": True}
    answer = generated(served, **body)
    events = streamed(served, **body)
    assert [each["index"] for each in events] == list(range(1, len(events) + 1))
    assert [each["token"] for each in events] == answer["details"]["tokens"]
    assert "".join(each["token"]["text"] for each in events) == answer["generated_text"]
    assert {each["generated_text"] for each in events[:-1]} <= {None}
    assert {str(each["details"]) for each in events[:-1]} <= {"None"}
    assert events[-1]["generated_text"] == answer["generated_text"]
    assert events[-1]["details"] == {
        "finish_reason": answer["details"]["finish_reason"],
        "generated_tokens": len(events),
        "seed": None,
        "input_length": 5,
    }


def test_a_stream_ends_with_the_context(served: Served) -> None:
    prompt = "x" * 4090
    seed = next(seed for seed in range(99) if rule.reply(prompt.encode(), seed, 6)[1] == "length")
    fields = {"seed": seed, "max_new_tokens": 50, "return_full_text": True}
    response = served.post("/generate_stream", inputs=prompt, parameters=fields)
    events = events_of(response.text)
    assert len(events) == 6
    assert events[-1]["generated_text"] == prompt + spoken(prompt, seed, 6)
    assert events[-1]["details"] is None


def test_the_best_of_several_comes_with_the_others(served: Served) -> None:
    body: dict[str, Any] = {"best_of": 4, "do_sample": True, "details": True}
    answer = generated(served, **body)
    others = answer["details"]["best_of_sequences"]
    asked = {"model": "scripted", "prompt": "Hello", "seed": LENGTHY, "max_tokens": 20}
    choices = served.post("/v1/completions", **asked, n=4, best_of=4).get_json()["choices"]
    texts = {choice["text"] for choice in choices}
    best = served.post("/v1/completions", **asked, n=1, best_of=4).get_json()["choices"][0]
    assert answer["generated_text"] == best["text"]
    assert {answer["generated_text"], *(each["generated_text"] for each in others)} == texts
    assert {len(each["tokens"]) for each in others} == {20}
    silent = generated(served, best_of=4, do_sample=True)
    assert silent == {"generated_text": best["text"]}


def test_inputs_are_truncated_from_the_left(served: Served) -> None:
    body = {"inputs": "x" * 5000 + "Hello", "parameters": {"seed": 3, "truncate": 5}}
    assert served.post("/generate", **body).get_json()["generated_text"] == spoken("Hello", 3, 100)


@pytest.mark.parametrize(
    ("grammar", "fits"),
    [
        ({"type": "json", "value": {"properties": {"a": {"const": 1}}, "required": ["a"]}}, dict),
        ({"type": "json", "value": '{"type": "integer"}'}, int),
        ({"type": "json_schema", "value": {"name": "n", "schema": {"type": "integer"}}}, int),
        ({"type": "regex", "value": "[1-3]"}, int),
    ],
)
def test_a_grammar_is_followed(served: Served, grammar: dict[str, Any], fits: type) -> None:
    text = generated(served, grammar=grammar, max_new_tokens=200)["generated_text"]
    assert isinstance(json.loads(text), fits), text


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({"typical_p": 0.5}, "parameters.typical_p is not supported"),
        ({"watermark": True}, "parameters.watermark is not supported"),
        ({"adapter_id": "a"}, "parameters.adapter_id is not supported"),
        ({"best_of": 2}, "parameters.best_of needs sampling"),
        ({"temperature": 0}, "parameters.temperature"),
        ({"top_p": 1.5}, "parameters.top_p"),
        ({"max_new_tokens": 0}, "parameters.max_new_tokens"),
        ({"max_tokens": 5}, "parameters.max_tokens is not a known argument"),
        ({"grammar": {"type": "regex", "value": "("}}, "parameters.grammar.value"),
        ({"grammar": {"type": "json", "value": "[]"}}, "parameters.grammar.value"),
    ],
)
@pytest.mark.parametrize("path", ["/generate", "/", "/generate_stream"])
def test_what_is_not_supported_is_refused_in_tgis_form(
    served: Served, path: str, fields: dict[str, Any], words: str
) -> None:
    response = served.post(path, **parameters(**fields))
    assert response.status_code == 400
    assert set(response.get_json()) == {"error", "error_type"}
    assert response.get_json()["error"].startswith(words)
    assert response.get_json()["error_type"] == "validation"


@pytest.mark.parametrize(
    "fields", [{"best_of": 2, "do_sample": True}, {"decoder_input_details": True}]
)
def test_what_has_no_place_in_a_stream_is_refused(served: Served, fields: dict[str, Any]) -> None:
    response = served.post("/generate_stream", **parameters(**fields))
    assert response.status_code == 400
    assert response.get_json()["error_type"] == "validation"


@pytest.mark.parametrize("fields", [{"typical_p": 1.0}, {"watermark": False}, {"top_p": None}])
def test_what_has_no_effect_is_accepted(served: Served, fields: dict[str, Any]) -> None:
    assert generated(served, **fields) == {"generated_text": spoken("Hello", LENGTHY, 20)}


def test_the_model_and_its_limits_are_shown(served: Served) -> None:
    info = served.client.get("/info").get_json()
    assert (info["model_id"], info["model_pipeline_tag"]) == ("scripted", "text-generation")
    assert (info["max_total_tokens"], info["max_input_tokens"]) == (4096, 4095)
    assert info["max_concurrent_requests"] > 32


@pytest.fixture
def hasty() -> Iterator[Served]:
    """A slow engine with a short limit for replies."""
    engine, settings = RecordedEngine(step_seconds=0.02), {"comment_seconds": 0.001}
    with serving(engine=engine, limits=Limits(reply_seconds=0.1), settings=settings) as served:
        yield served


def test_a_stream_that_fails_ends_with_an_error(hasty: Served) -> None:
    response = hasty.post("/generate_stream", **parameters(max_new_tokens=60))
    *events, error = events_of(response.text)
    assert set(error) == {"error", "error_type"}
    assert error["error_type"] == "generation"
    assert "time limit" in error["error"]
    assert [each["generated_text"] for each in events] == [None] * len(events)
    assert "\n: waiting\n" in response.text
    whole = hasty.post("/generate", **parameters(max_new_tokens=60))
    assert whole.status_code == 500
    assert whole.get_json()["error_type"] == "generation"


def test_a_stream_is_resumed_after_any_event(tmp_path: Path) -> None:
    with serving(journal=tmp_path / "journal.db") as served:
        for seed in (LENGTHY, ENDING):
            body = parameters(seed=seed, max_new_tokens=60, details=True)
            first = served.post("/generate_stream", **body)
            events = first.text.rstrip("\n").split("\n\n")
            for at, event in enumerate(events):
                last = event.partition("\n")[0].removeprefix("id: ")
                rest = served.client.get(
                    f"/v1/streams/{first.headers['X-Stream-ID']}",
                    headers={"Last-Event-ID": last},
                    buffered=True,
                )
                assert rest.text == "".join(f"{each}\n\n" for each in events[at + 1 :])
