"""POST /generate with a prompt: one answer with the keys of three systems, under all their names.

Covers `api/generate`, `generate/answer`, `generate/body`, `generate/errors`.
"""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.beam_rule import searched
from rowcast.errors import DeadlinePassed, InvalidField, NotReady, Overloaded, ReplyFailed
from rowcast.frontend.api.generate.body import GenerateBody
from rowcast.frontend.api.generate.errors import error_body

from ...serving import Served, serving, spoken

PATHS = ["/generate", "/generate/"]
HELLO: dict[str, Any] = {"prompt": "Hello", "seed": 3, "max_tokens": 9}
ERROR = {"status_code", "message", "detail", "error", "error_type"}


def refused(served: Served, body: dict[str, Any], status: int = 400) -> str:
    """Return the message of an error, which is the same under the names of all systems."""
    response = served.client.post("/generate", json=body, buffered=True)
    assert response.status_code == status, response.text
    error = response.get_json()
    assert set(error) == ERROR
    assert error["status_code"] == status
    assert error["message"] == error["detail"] == error["error"]
    return str(error["message"])


@pytest.mark.parametrize("path", PATHS)
def test_one_answer_has_the_keys_of_three_systems(served: Served, path: str) -> None:
    response = served.post(path, **HELLO)
    reply = spoken("Hello", 3, 9)
    assert response.headers["X-Rowcast-Seed"] == "3"
    assert response.get_json() == {
        "prompt": "Hello",
        "response": reply,
        "text": ["Hello" + reply],
        "status": "finished",
        "result": reply,
        "model": "scripted",
        "usage": {"prompt_tokens": 5, "completion_tokens": 9, "total_tokens": 14},
        "finish_reasons": ["length"],
        "seed": 3,
    }


def test_a_prompt_may_be_called_text_and_a_model_model_name(served: Served) -> None:
    wanted = served.post("/generate", **HELLO).get_json()
    body = {"text": "Hello", "seed": 3, "max_tokens": 9, "model_name": "scripted"}
    more = {"dyn_batch": 1, "speculative_decoding": True, "session_id": "a", "user_id": "b"}
    response = served.post("/generate", **body, **more)
    assert response.get_json() == wanted
    assert "X-Rowcast-Unenforced" not in response.headers
    assert "X-Rowcast-Unenforced" not in served.post("/generate", **body).headers


def test_the_model_is_named_as_requested(served: Served) -> None:
    assert served.post("/generate", **HELLO, model="falcon40b").get_json()["model"] == "falcon40b"
    both = {"model": "scripted", "model_name": "scripted"}
    assert served.post("/generate", **HELLO, **both).get_json()["model"] == "scripted"
    assert "does not exist" in refused(served, HELLO | {"model_name": "gpt"}, 404)
    assert "differs" in refused(served, HELLO | both | {"model": "falcon40b"})


def test_by_default_there_are_sixteen_tokens(served: Served) -> None:
    answer = served.post("/generate", prompt="Hello", seed=3).get_json()
    assert answer["response"] == spoken("Hello", 3, 16)
    assert answer["usage"]["completion_tokens"] == 16


def test_choices_are_those_of_completions(served: Served) -> None:
    answer = served.post("/generate", **HELLO, n=3).get_json()
    other = served.post("/v1/completions", **HELLO, n=3, model="scripted").get_json()
    texts = [choice["text"] for choice in other["choices"]]
    assert len(set(texts)) == 3
    assert answer["text"] == ["Hello" + each for each in texts]
    assert answer["response"] == texts[0]
    assert answer["finish_reasons"] == ["length"] * 3
    assert answer["usage"]["completion_tokens"] == 27


def test_the_best_of_several_are_those_of_completions(served: Served) -> None:
    answer = served.post("/generate", **HELLO, n=2, best_of=5, logprobs=1).get_json()
    asked = HELLO | {"model": "scripted", "n": 2, "best_of": 5, "logprobs": 1}
    choices = served.post("/v1/completions", **asked).get_json()["choices"]
    assert answer["text"] == ["Hello" + each["text"] for each in choices]
    assert answer["logprobs"] == [each["logprobs"] for each in choices]
    silent = served.post("/generate", **HELLO, n=2, best_of=5).get_json()
    assert silent["text"] == answer["text"]
    assert "logprobs" not in silent


def test_stop_sequences_end_a_reply_and_are_not_part_of_it(served: Served) -> None:
    text = spoken("Hello", 3, 9)
    answer = served.post("/generate", **HELLO, stop=[text[6:9], "\0"]).get_json()
    assert answer["response"] == text[:6]
    assert answer["finish_reasons"] == ["stop"]


def test_a_rule_is_followed(served: Served) -> None:
    answer = served.post("/generate", **HELLO, guided_choice=["yes", "no"]).get_json()
    assert answer["response"] in {"yes", "no"}


def test_a_receipt_is_that_of_completions(served: Served) -> None:
    ours = served.post("/generate", **HELLO, n=2, receipt=True).get_json()["receipt"]
    theirs = served.post("/v1/completions", **HELLO, n=2, receipt=True, model="scripted")
    assert ours == theirs.get_json()["receipt"]


def test_a_parameter_of_every_kind_reaches_the_engine(served: Served) -> None:
    sent = {
        "temperature": 0.5,
        "top_p": 0.5,
        "top_k": -1,
        "min_p": 0.1,
        "presence_penalty": 0.1,
        "frequency_penalty": 0.2,
        "repetition_penalty": 1.1,
        "ignore_eos": True,
        "min_tokens": 2,
        "stop_token_ids": [7],
    }
    served.post("/generate", **HELLO, **sent)
    (seating,) = served.engine.seatings
    params = seating.params
    found = {name: getattr(params, name) for name in sent}
    assert found == sent | {"top_k": 0, "stop_token_ids": (7,)}


@pytest.mark.parametrize(
    ("fields", "words"),
    [
        ({}, ["prompt is missing", "text", "inputs"]),
        ({"messages": []}, ["prompt is missing"]),
        ({"prompt": "a", "text": "b"}, ["text is another name of prompt"]),
        ({"prompt": 3}, ["prompt", "a string"]),
        ({"prompt": ["a"]}, ["prompt", "a string"]),
        ({"prompt": ""}, ["prompt"]),
        ({"prompt": None}, ["prompt"]),
        ({"prompt": "a", "n": 3, "best_of": 2}, ["best_of is 2", "at least n"]),
        ({"prompt": "a", "stream": True, "best_of": 2}, ["best_of", "streamed"]),
        ({"prompt": "a", "stream": True, "logprobs": 2}, ["logprobs", "stream: false"]),
        ({"prompt": "a", "stream": True, "receipt": True}, ["receipt", "stream: false"]),
        ({"prompt": "a", "dyn_batch": 0}, ["dyn_batch"]),
        ({"prompt": "a", "speculative_decoding": "yes"}, ["speculative_decoding"]),
        ({"prompt": "a", "max_token": 3}, ["max_token", "did you mean max_tokens"]),
        ({"prompt": "a", "use_beam_search": True}, ["best_of is 1", "at least 2", "send n"]),
        ({"prompt": "a", "length_penalty": 2}, ["length_penalty", "beam search"]),
        ({"prompt": "a", "inputs": "b"}, ["prompt", "send one of them"]),
    ],
)
def test_what_fits_no_contract_says_what_to_change(
    served: Served, fields: dict[str, Any], words: list[str]
) -> None:
    response = served.client.post("/generate", json=fields, buffered=True)
    assert response.status_code == 400
    message = response.get_json()["error"]
    assert [each for each in words if each not in message] == []


def test_no_beams_need_no_beam_search(served: Served) -> None:
    answer = served.post("/generate", **HELLO, use_beam_search=False, length_penalty=1.0)
    assert answer.get_json()["response"] == spoken("Hello", 3, 9)


def test_malformed_json_is_refused_with_its_place(served: Served) -> None:
    response = served.client.post("/generate", data=b'{"prompt": }', buffered=True)
    assert response.status_code == 400
    assert set(response.get_json()) == ERROR
    assert "line 1, column 12" in response.get_json()["message"]


@pytest.mark.parametrize("path", PATHS)
def test_other_methods_are_refused(served: Served, path: str) -> None:
    response = served.client.get(path)
    assert response.status_code == 405
    assert set(response.get_json()) == ERROR


def test_while_the_server_stops_it_is_a_503() -> None:
    with serving() as served:
        served.frontend.stopping = True
        assert "stopping" in refused(served, HELLO, 503)


FIELD = st.sampled_from([*GenerateBody.__struct_fields__, "prompt", "text", "inputs", "parameters"])
VALUE = st.recursive(
    st.none() | st.booleans() | st.integers(-3, 20) | st.floats(-2, 3) | st.text(max_size=5),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=4), inner),
    max_leaves=4,
)


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    fields=st.dictionaries(FIELD, VALUE, max_size=5), begin=st.sampled_from(["prompt", "inputs"])
)
def test_any_body_is_answered_or_refused(
    one_server: Served, fields: dict[str, Any], begin: str
) -> None:
    body = {begin: "Hi"} | fields
    if isinstance(body.get("max_tokens"), int):
        body["max_tokens"] = min(body["max_tokens"], 20)
    response = one_server.client.post("/generate", data=json.dumps(body), buffered=True)
    assert response.status_code in {200, 400, 404}, (body, response.text)
    if response.status_code != 200:
        assert {"error", "error_type"} <= set(response.get_json())
    response.close()


@pytest.mark.parametrize(
    ("status", "error", "kind"),
    [
        (503, Overloaded("full"), "overloaded"),
        (503, NotReady("no backend"), "incomplete_generation"),
        (504, DeadlinePassed("too long"), "incomplete_generation"),
        (500, ReplyFailed("it failed"), "generation"),
        (400, InvalidField("top_p", "is 3"), "validation"),
        (405, None, "validation"),
        (500, ValueError(), "incomplete_generation"),
    ],
)
def test_errors_have_tgis_names(status: int, error: Exception | None, kind: str) -> None:
    assert error_body(status, "m", error)["error_type"] == kind


def test_beams_are_answered_in_order_with_their_prompt(served: Served) -> None:
    answer = served.post("/generate", prompt="Hello", use_beam_search=True, n=3, best_of=4)
    wanted = searched(b"Hello", 4, 16)[:3]
    assert answer.get_json()["text"] == ["Hello" + each.text for each in wanted]
    assert answer.get_json()["response"] == wanted[0].text
    assert answer.get_json()["usage"]["completion_tokens"] == sum(
        len(each.tokens) for each in wanted
    )
