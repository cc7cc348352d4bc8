"""Defaults from a model's generation_config.json; a request's own fields take precedence."""

from typing import Any

import msgspec
import pytest

from rowcast.frontend.api.bodies.sampling import params_of
from rowcast.frontend.api.bodies.types import Sampling
from rowcast.frontend.request.defaults import Defaults, defaults_of

WORDS = {
    "temperature": 0.6,
    "top_k": 20,
    "top_p": 0.95,
    "min_p": 0.05,
    "repetition_penalty": 1.1,
    "do_sample": True,
}


def test_without_a_file_they_are_what_is_usual() -> None:
    assert defaults_of({}) == Defaults(
        temperature=1.0, top_k=0, top_p=1.0, min_p=0.0, repetition_penalty=1.0
    )


def test_the_model_s_own_are_taken() -> None:
    wanted = {name: value for name, value in WORDS.items() if name != "do_sample"}
    assert defaults_of(WORDS) == Defaults(**wanted)


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("temperature", "warm"),
        ("temperature", -1),
        ("temperature", True),
        ("temperature", float("nan")),
        ("top_p", 2),
        ("top_k", 1.5),
        ("top_k", None),
        ("min_p", [0.1]),
    ],
)
def test_what_is_no_number_of_its_range_is_not_taken(name: str, value: Any) -> None:
    assert defaults_of({name: value}) == Defaults()


def test_a_body_s_own_word_goes_before_the_model_s() -> None:
    defaults = defaults_of(WORDS)
    silent = params_of(Sampling(), 100, defaults, max_tokens=5)
    assert (silent.temperature, silent.top_k, silent.top_p) == (0.6, 20, 0.95)
    assert (silent.min_p, silent.repetition_penalty) == (0.05, 1.1)
    own = {"temperature": 0, "top_k": 0, "top_p": 1, "min_p": 0, "repetition_penalty": 1}
    loud = msgspec.convert(own, Sampling)
    told = params_of(loud, 100, defaults, max_tokens=5)
    assert (told.temperature, told.top_k, told.top_p) == (0, 0, 1)
    assert (told.min_p, told.repetition_penalty) == (0, 1)
