"""The generation configuration that an operator gives a model."""

import json
from pathlib import Path
from typing import Any

import pytest

from rowcast.errors import UnknownModel
from rowcast.frontend.request.defaults import Defaults, defaults_for
from rowcast.models.generation import BYTES, Generation, generation_of
from rowcast.settings import read_settings

FIELDS = {"temperature": 0.5, "top_k": 7, "max_new_tokens": 99, "num_return_sequences": 2}
NONE = Generation(sampling={}, max_new_tokens=0, num_return_sequences=1, streaming_chunks=1)


def generation(given: Any, **settings: Any) -> Generation:
    text = given if isinstance(given, str) else json.dumps(given)
    return generation_of(read_settings(config_file=text, **settings))


def test_without_any_there_are_no_defaults() -> None:
    assert generation_of(read_settings()) == NONE


def test_an_object_is_used_as_it_is() -> None:
    assert generation(FIELDS | {"eos_token_id": 2, "do_sample": True}) == Generation(
        sampling={"temperature": 0.5, "top_k": 7},
        max_new_tokens=99,
        num_return_sequences=2,
        streaming_chunks=1,
    )


def test_a_file_is_read(tmp_path: Path) -> None:
    (tmp_path / "g.json").write_text(json.dumps(FIELDS))
    assert generation(str(tmp_path / "g.json")) == generation(FIELDS)


def test_a_setting_takes_precedence_over_the_file_s_field() -> None:
    found = generation(FIELDS, max_new_tokens=5, num_return_sequences=1, streaming_chunks=64)
    assert (found.max_new_tokens, found.num_return_sequences) == (5, 1)
    assert found.streaming_chunks == 64


def test_a_field_that_is_null_is_ignored() -> None:
    assert generation({"temperature": None, "max_new_tokens": None}) == NONE


@pytest.mark.parametrize(
    ("field", "value", "problem"),
    [
        ("temperature", -1, "has to be a number from 0 to 100"),
        ("temperature", "hot", "has to be a number from 0 to 100"),
        ("temperature", True, "has to be a number from 0 to 100"),
        ("temperature", float("nan"), "has to be a number from 0 to 100"),
        ("top_k", 1.5, "has to be a whole number from -1 to 1e+06"),
        ("top_p", 2, "has to be a number from 0 to 1"),
        ("max_new_tokens", -1, "has to be a whole number from 0 to 1000000"),
        ("num_return_sequences", 0, "has to be a whole number from 1 to 128"),
        ("num_return_sequences", "2", "has to be a whole number from 1 to 128"),
    ],
)
def test_a_value_out_of_range_is_refused(field: str, value: Any, problem: str) -> None:
    with pytest.raises(UnknownModel) as raised:
        generation({field: value})
    assert f'"{field}": ' in str(raised.value)
    assert problem in str(raised.value)


def test_all_values_out_of_range_are_named_together() -> None:
    with pytest.raises(UnknownModel, match=r'"max_new_tokens".*"temperature".*"top_p"'):
        generation({"temperature": -1, "top_p": -1, "max_new_tokens": -1})


@pytest.mark.parametrize(
    "text",
    ["[]", "7", "", "{", "[" * 100_000, " " * (BYTES + 1), b"\xff", '{"temperature": NaN}'],
)
def test_a_file_of_anything_else_is_an_error(tmp_path: Path, text: str | bytes) -> None:
    path = tmp_path / "g.json"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    with pytest.raises(UnknownModel) as raised:
        generation(str(path))
    assert len(str(raised.value).splitlines()) == 1


@pytest.mark.parametrize("path", ["no.json", "/", "a\0b", "x" * 5000])
def test_a_path_without_a_file_is_an_error(path: str) -> None:
    with pytest.raises(UnknownModel, match=r"CONFIG_FILE .* cannot be read: "):
        generation(path)


def test_it_takes_precedence_over_the_model_s_own() -> None:
    settings = read_settings(config_file='{"top_k": 7}')
    own = {"top_k": 3, "top_p": 0.5}
    assert defaults_for(settings, own) == Defaults(top_k=7, top_p=0.5)
    assert defaults_for(read_settings(), own) == Defaults(top_k=3, top_p=0.5)
