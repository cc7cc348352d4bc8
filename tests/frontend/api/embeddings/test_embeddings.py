"""Embeddings in OpenAI's form: every kind of input, every form of vector, and what is refused.

Covers `api/embeddings`, `shaping`, `embeddings/types`, `embeddings/openapi`.
"""

import array
import base64
import json
from typing import Any

import pytest

from backend.driven import RecordedEngine

from ...serving import Served, serving
from ..openai.asking import refusal
from .asking import PATH, embedded, expected, vectors


@pytest.mark.parametrize(
    ("sent", "prompts"),
    [
        ("Hello", [b"Hello"]),
        (["Hello"], [b"Hello"]),
        (["Hello", "é", "Hello"], [b"Hello", "é".encode(), b"Hello"]),
        ([72, 300, 3856], [[72, 300, 3856]]),
        ([[72, 300], [5]], [[72, 300], [5]]),
    ],
)
def test_each_input_has_its_vector(served: Served, sent: Any, prompts: list[Any]) -> None:
    tokens = sum(map(len, prompts))
    assert embedded(served, input=sent) == {
        "object": "list",
        "data": [
            {"object": "embedding", "index": at, "embedding": expected(prompt)}
            for at, prompt in enumerate(prompts)
        ],
        "model": "scripted",
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }


@pytest.mark.parametrize("pooling", ["last", "mean"])
@pytest.mark.parametrize("dimensions", [1, 7, 64])
@pytest.mark.parametrize("normalize", [True, False])
def test_the_form_of_a_vector(
    served: Served, pooling: str, dimensions: int, normalize: bool
) -> None:
    asked = {"pooling": pooling, "dimensions": dimensions, "normalize": normalize}
    wanted = expected(b"Hello", pooling, dimensions, normalize=normalize)
    assert vectors(served, **asked) == [wanted]
    (written,) = vectors(served, encoding_format="base64", **asked)
    assert array.array("f", base64.b64decode(written)).tolist() == wanted


def test_a_null_is_a_field_that_was_not_sent(served: Served) -> None:
    names = ("encoding_format", "dimensions", "user", "pooling", "normalize")
    assert vectors(served, **dict.fromkeys(names)) == [expected(b"Hello")]


def test_the_same_route_without_v1(served: Served) -> None:
    response = served.post("/embeddings", model="falcon40b", input="Hello", user="me")
    assert response.get_json()["data"][0]["embedding"] == expected(b"Hello")


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        ({"input": []}, "input", "is empty"),
        ({"input": [""]}, "input", "is empty"),
        ({"input": ["a", [1]]}, "input", "must be a string, a list of strings"),
        ({"input": {"text": "a"}}, "input", "must be a string"),
        ({"input": [1.5]}, "input", "must be a string"),
        ({"input": [3857]}, "input", "outside the vocabulary, which has 3857"),
        ({"input": [-1]}, "input", "outside the vocabulary"),
        ({"dimensions": 65}, "dimensions", "is 65; the model's vectors have 64"),
        ({"dimensions": 0}, "dimensions", ">= 1"),
        ({"dimensions": True}, "dimensions", "expected a whole number"),
        ({"encoding_format": "int8"}, "encoding_format", "'int8'"),
        ({"pooling": "max"}, "pooling", "'max'"),
        ({"input_type": "query"}, "input_type", "is not a known argument"),
        ({"truncate_prompt_tokens": 0}, "truncate_prompt_tokens", "send 1 to 4096"),
        ({"truncate_prompt_tokens": 4097}, "truncate_prompt_tokens", "send 1 to 4096"),
        ({"model": "unknown"}, "model", "does not exist"),
    ],
)
def test_what_is_refused(served: Served, fields: dict[str, Any], param: str, message: str) -> None:
    response = served.post(PATH, **{"model": "scripted", "input": "Hello"} | fields)
    error = refusal(response, 404 if param == "model" else 400)
    assert error["param"] == param
    assert message in error["message"]
    assert served.engine.seatings == []


def test_a_missing_input_is_named(served: Served) -> None:
    assert refusal(served.post(PATH, model="scripted"))["message"] == "input is missing"


def test_a_large_answer_is_sent_in_parts_and_is_the_same(served: Served) -> None:
    texts = [f"{at}" for at in range(1100)]
    response = served.stream(PATH, model="scripted", input=texts)
    parts = list(response.iter_encoded())
    response.close()
    assert len(parts) > 1
    assert max(map(len, parts)) < 1 << 20
    data = json.loads(b"".join(parts))["data"]
    assert [each["embedding"] for each in data] == [expected(text.encode()) for text in texts]
    assert "Content-Length" not in response.headers


def test_a_vector_of_zeros_has_no_length_to_divide_by(
    served: Served, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("rowcast.engine.scripted_states.state", lambda _: (0,) * 64)
    assert vectors(served) == [[0.0] * 64]


def test_a_backend_that_computes_none_is_named() -> None:
    engine = RecordedEngine()
    engine.dimensions = 0
    with serving(engine=engine) as served:
        error = refusal(served.post(PATH, model="scripted", input="Hello"))
    assert "computes no embeddings" in error["message"]


def test_the_list_of_models_shows_what_a_vector_is(served: Served) -> None:
    (model,) = served.client.get("/v1/models").get_json()["data"]
    assert (model["dimensions"], model["pooling"]) == (64, "last")
