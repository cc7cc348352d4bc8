"""`SamplingParams`: vLLM's names and defaults, checked by the rules of the server."""

import re
from dataclasses import fields
from typing import Any

import pytest

from processes import ROOT
from rowcast import GuidedDecodingParams, SamplingParams, StructuredOutputsParams
from rowcast.errors import InvalidField
from rowcast.offline.params import body_of


def test_the_defaults_are_vllms() -> None:
    params = SamplingParams()
    assert (params.n, params.temperature, params.top_p, params.top_k) == (1, 1.0, 1.0, 0)
    assert (params.max_tokens, params.min_tokens, params.seed) == (16, 0, None)
    assert (params.repetition_penalty, params.logprobs) == (1.0, None)
    assert params.sampling_type == "random"
    assert SamplingParams(temperature=0).sampling_type == "greedy"


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({"temperature": -1}, "temperature is invalid: expected .* >= 0.0"),
        ({"top_p": 1.5}, "top_p is invalid"),
        ({"top_k": "many"}, "top_k is invalid: expected a whole number"),
        ({"n": 0}, "n is invalid"),
        ({"n": 3, "best_of": 2}, "best_of is 2; it must be at least n, which is 3"),
        ({"max_tokens": -1}, "max_tokens is invalid"),
        ({"logprobs": 21}, "logprobs is 21; it must be a whole number from 0 to 20"),
        ({"prompt_logprobs": True}, "prompt_logprobs is True; it must be a whole number"),
        ({"stop": [""]}, "stop"),
        ({"use_beam_search": True}, "temperature must be 0 with use_beam_search"),
        ({"use_beam_search": True, "temperature": 0}, "best_of is 1; use_beam_search needs"),
        ({"length_penalty": 2.0}, "length_penalty belongs to beam search"),
        ({"bad_words": ["x"]}, "bad_words is .* not supported: use logit_bias"),
        ({"skip_special_tokens": False}, "skip_special_tokens is False"),
        ({"logit_bias": {"x": 1}}, "logit_bias"),
    ],
)
def test_a_wrong_value_is_an_error_at_once(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(InvalidField, match=problem):
        SamplingParams(**given)


def test_a_name_that_does_not_exist_is_an_error() -> None:
    with pytest.raises(TypeError, match="temprature"):
        SamplingParams(temprature=1)  # type: ignore[call-arg]


def test_a_change_is_checked_when_it_is_used() -> None:
    params = SamplingParams()
    params.top_p = 2.0
    with pytest.raises(InvalidField, match="top_p"):
        params.checked()


def test_the_fields_of_a_body_have_the_apis_names_and_forms() -> None:
    params = SamplingParams(
        logit_bias={5: 1.0}, allowed_token_ids=[5, 6], max_tokens=None, stop="x", seed=3
    )
    body = body_of(params)
    assert body["logit_bias"] == {"5": 1.0}
    assert body["allowed_token_ids"] == [5, 6]
    assert "max_tokens" not in body
    assert not {"prompt_logprobs", "detokenize"} & body.keys()


def test_a_rule_has_two_names() -> None:
    for name in ("structured_outputs", "guided_decoding"):
        params = SamplingParams(**{name: GuidedDecodingParams(regex="a+")})  # type: ignore[arg-type]
        assert body_of(params)["structured_outputs"] == {"regex": "a+"}
    assert GuidedDecodingParams is StructuredOutputsParams


def test_the_reference_page_has_each_name_with_its_default() -> None:
    page = (ROOT / "docs" / "sampling-params.md").read_text()
    rows = dict(re.findall(r"^\| `(\w+)` \| ([\w.]+) \|", page, re.MULTILINE))
    assert rows == {each.name: str(each.default) for each in fields(SamplingParams)}
