"""Strict parsing in the OpenAI dialect: types, names and models, with errors in OpenAI's form.

Covers `frontend/api/errors`, `openai/errors`, `parsing`, `bodies/types`.
"""

import json
from typing import Any

import pytest

from ...serving import Served
from .asking import COMPLETIONS, complete, refusal

ASKED = {"model": "scripted", "prompt": "Hi"}


def raw(served: Served, body: bytes, path: str = COMPLETIONS) -> Any:
    return served.client.post(path, data=body)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("temperature", "1"),
        ("temperature", -0.1),
        ("temperature", 2.1),
        ("temperature", True),
        ("max_tokens", "5"),
        ("max_tokens", -1),
        ("max_tokens", 1.5),
        ("n", 0),
        ("n", 129),
        ("n", True),
        ("top_p", 1.1),
        ("top_k", -2),
        ("logprobs", 21),
        ("stream", "true"),
        ("stream", 1),
        ("echo", "yes"),
        ("seed", 2**63),
        ("stop", ""),
        ("stop", [""]),
        ("stop", ["a"] * 17),
        ("stop", 7),
        ("presence_penalty", 2.5),
        ("logit_bias", {"a": 1}),
        ("logit_bias", {"1": 101}),
        ("logit_bias", [1]),
        ("stop_token_ids", ["a"]),
        ("repetition_penalty", 0),
        ("user", 5),
        ("model", 5),
        ("response_format", {"type": "xml"}),
        ("stream_options", []),
    ],
)
def test_a_wrong_value_names_its_field(served: Served, field: str, value: object) -> None:
    error = refusal(served.post(COMPLETIONS, **ASKED | {field: value}))
    assert error["type"] == "invalid_request_error"
    assert str(error["param"]).startswith(field)
    assert field in error["message"]


def test_the_message_is_in_words(served: Served) -> None:
    error = refusal(served.post(COMPLETIONS, **ASKED | {"max_tokens": "5"}))
    assert error["message"] == "max_tokens is invalid: expected a whole number, got a string"


@pytest.mark.parametrize("name", ["model", "prompt"])
def test_what_is_needed_must_be_there(served: Served, name: str) -> None:
    error = refusal(served.post(COMPLETIONS, **{k: v for k, v in ASKED.items() if k != name}))
    assert error["param"] == name


def test_an_unknown_name_is_refused_with_the_nearest(served: Served) -> None:
    error = refusal(served.post(COMPLETIONS, **ASKED, max_token=5))
    assert error["param"] == "max_token"
    assert "did you mean max_tokens?" in error["message"]


def test_names_without_consequence_are_accepted(served: Served) -> None:
    complete(served, store=True, metadata={"a": "b"}, service_tier="auto", user="me", suffix=None)
    complete(served, use_beam_search=False, suffix="", skip_special_tokens=True)


def test_names_that_would_change_the_reply_are_refused(served: Served) -> None:
    error = refusal(served.post(COMPLETIONS, **ASKED, bad_words=["a"]))
    assert error["param"] == "bad_words"
    assert "send logit_bias" in error["message"]


def test_null_is_not_sent(served: Served) -> None:
    complete(served, temperature=None, stop=None, n=None, logit_bias=None, stream=None, seed=None)


def test_a_whole_number_may_be_written_with_a_point(served: Served) -> None:
    response = raw(served, b'{"model": "scripted", "prompt": [72.0], "max_tokens": 2.0, "n": 1e0}')
    assert response.status_code == 200, response.text


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"{",
        b"[]",
        b'{"a": 1, "a": 2}',
        b'{"model": "scripted", "prompt": "a", "temperature": NaN}',
        b'{"model": "scripted", "prompt": "a", "logit_bias": {"1": Infinity}}',
        b'{"model": "scripted", "prompt": "\\ud800"}',
        b'{"model": "scripted", "prompt": "\xff"}',
    ],
)
def test_malformed_json_is_a_400_in_openais_form(served: Served, body: bytes) -> None:
    assert refusal(raw(served, body))["type"] == "invalid_request_error"


def test_a_number_that_is_too_large_to_be_one_is_refused(served: Served) -> None:
    body = b'{"model": "scripted", "prompt": "a", "temperature": 1e999}'
    assert refusal(raw(served, body))["param"] == "temperature"


@pytest.mark.parametrize("path", ["/v1/completions", "/v1/chat/completions", "/v1/count_tokens"])
def test_an_unknown_model_is_a_404(served: Served, path: str) -> None:
    body = {"model": "gpt-4", "prompt": "a", "messages": [{"role": "user", "content": "a"}]}
    wanted = {"/v1/completions": "messages", "/v1/chat/completions": "prompt"}
    body.pop(wanted.get(path, "messages"))
    if path == "/v1/count_tokens":
        body = {"model": "gpt-4", "conversation": "a"}
    error = refusal(served.post(path, **body), 404)
    assert (error["code"], error["param"]) == ("model_not_found", "model")


def test_the_alias_is_answered_under_its_name(served: Served) -> None:
    assert complete(served, model="falcon40b")["model"] == "falcon40b"


def test_a_prompt_that_is_too_long_has_openais_code(served: Served) -> None:
    error = refusal(served.post(COMPLETIONS, model="scripted", prompt="a" * 5000))
    assert error["code"] == "context_length_exceeded"


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("get", COMPLETIONS, 405), ("post", "/v1/models", 405), ("get", "/v1/engines", 404)],
)
def test_errors_below_v1_have_openais_form(
    served: Served, method: str, path: str, status: int
) -> None:
    response = served.client.open(path, method=method)
    assert refusal(response, status)["type"] == "invalid_request_error"
    if status == 405:
        assert response.headers["Allow"]


def test_errors_elsewhere_have_not(served: Served) -> None:
    assert set(served.client.get("/nowhere").get_json()) == {"status_code", "message"}


def test_a_body_that_is_too_large_is_a_413(served: Served) -> None:
    body = json.dumps(ASKED | {"prompt": "a" * (5 << 20)}).encode()
    assert refusal(raw(served, body), 413)["code"] == "request_too_large"


@pytest.mark.parametrize(
    ("biases", "key"),
    [
        ({"5": 1, "hello": 1}, '"hello"'),
        ({"5": 1, "7": 101}, '"7"'),
        ({"5": 1, "8": "much"}, '"8"'),
        ({"5": 1, "99999": 1}, '"99999"'),
        ({"5": 1, 'a"b': 1}, '"a\\"b"'),
    ],
)
def test_a_wrong_bias_names_its_token(served: Served, biases: object, key: str) -> None:
    error = refusal(served.post(COMPLETIONS, **ASKED, logit_bias=biases))
    assert error["param"] == f"logit_bias[{key}]"
    assert error["message"].startswith(f"logit_bias[{key}] ")
