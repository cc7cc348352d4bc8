"""Entries of a file of models: each key, each mistake with its line, and any JSON value at all.

Covers `file/keys`, `file/faults`.
"""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as bounded
from hypothesis import strategies as st

from rowcast.models.file.entry import MOST, Entry, EntryReader
from rowcast.models.file.faults import SHOWN, Fault, InvalidCatalog, shortened
from rowcast.models.file.keys import KEYS


def read(models: Any) -> tuple[tuple[Entry, ...], list[Fault]]:
    reader = EntryReader()
    text = models if isinstance(models, str) else json.dumps(models, indent=1)
    return reader.read(text), reader.faults


def entry(value: Any, name: str = "house") -> Entry:
    """Return the one entry of a file without faults."""
    (found,), faults = read({name: value})
    assert faults == []
    return found


def problem(value: Any, name: str = "house") -> str:
    _, faults = read({name: value})
    (fault,) = faults
    return fault.problem


def test_a_text_is_the_place_of_the_model() -> None:
    assert entry("a/b").variables == {"MODEL_NAME": "house", "MODEL": "a/b"}
    assert entry("a/b") == entry({"model": "a/b"})


def test_settings_become_variables_and_the_rest_stays() -> None:
    found = entry(
        {
            "model": "m",
            "dtype": "bf16",
            "two_layers": True,
            "no_weights": False,
            "context_length": 512,
            "step_seconds": 0.5,
            "generation_config": {"top_k": 5},
            "aliases": ["x", "y/z"],
            "load": "start",
            "idle_seconds": 3,
            "keep": True,
            "keep_alive_seconds": 4.5,
            "default": True,
            "draft": "small",
        }
    )
    assert found.variables == {
        "MODEL_NAME": "house",
        "MODEL": "m",
        "DTYPE": "bfloat16",
        "TWO_LAYERS": "1",
        "NO_WEIGHTS": "0",
        "CONTEXT_LENGTH": "512",
        "STEP_SECONDS": "0.5",
        "CONFIG_FILE": '{"top_k": 5}',
    }
    assert (found.aliases, found.load, found.idle_seconds) == (("x", "y/z"), "start", 3)
    assert (found.keep, found.keep_alive_seconds, found.default) == (True, 4.5, True)
    assert found.draft == "small"


@pytest.mark.parametrize("name", ["vicuna_q2", "facebook/opt-125m", "a.b-c", "7B"])
def test_names_of_many_forms_work(name: str) -> None:
    assert entry("m", name).name == name


@pytest.mark.parametrize(
    "name", ["", "a b", "/a", "a/", "a//b", "ä", "a?b", "x" * 201, "a\n", "\ud800"]
)
def test_what_cannot_be_in_a_path_is_not_a_name(name: str) -> None:
    assert "cannot be a name; use letters" in problem("m", name)
    assert "aliases" in problem({"model": "m", "aliases": [name]})


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (7, '"house" has to be a path, a hub id, or an object with "model"'),
        (None, '"house" has to be a path, a hub id, or an object with "model"'),
        (["m"], '"house" has to be a path, a hub id, or an object with "model"'),
        ({}, '"house" has no "model"; add its path or hub id'),
        ("", '"model" in "house": has to be a text of 1 to 4096 characters; it is ""'),
        ("a\0b", '"model" in "house": has characters that cannot be printed; remove them'),
        ("\ud800", '"model" in "house": has characters that cannot be printed; remove them'),
        ({"model": None}, '"model" in "house": null is not a value; leave the key out'),
        (
            {"model": "m", "dtpye": "int8"},
            '"dtpye" in "house" is not a key of a model; did you mean "dtype"?',
        ),
        (
            {"model": "m", "DTYPE": "int8"},
            '"DTYPE" in "house" is not a key of a model; did you mean "dtype"?',
        ),
        (
            {"model": "m", "path": "x"},
            '"path" in "house" is not a key of a model; did you mean "model"?',
        ),
        (
            {"model": "m", "keep": "yes"},
            '"keep" in "house": has to be true or false; it is "yes"',
        ),
        (
            {"model": "m", "keep": 1},
            '"keep" in "house": has to be true or false; it is 1',
        ),
        (
            {"model": "m", "context_length": "512"},
            '"context_length" in "house": has to be a whole number of 0 or more; it is "512"',
        ),
        (
            {"model": "m", "idle_seconds": -1},
            '"idle_seconds" in "house": has to be a number from 0 to 2678400; it is -1',
        ),
        (
            {"model": "m", "load": "later"},
            '"load" in "house": has to be start or lazy; it is "later"',
        ),
    ],
)
def test_a_mistake_is_reported_with_its_reason(value: Any, expected: str) -> None:
    assert problem(value) == expected


def test_an_unknown_key_that_resembles_none_gets_the_list() -> None:
    assert problem({"model": "m", "zzz": 1}).endswith("known: " + ", ".join(k.name for k in KEYS))


def test_an_infinite_number_is_a_mistake() -> None:
    _, (fault,) = read('{"a": {"model": "m", "idle_seconds": 1e999}}')
    assert "has to be a number from 0 to 2678400; it is" in fault.problem


def test_mistakes_have_the_lines_of_their_values() -> None:
    _, faults = read('{"a": {\n"model": "m",\n"keep":\n 1,\n"x": 2\n},\n"b":\n 7}')
    assert [fault.line for fault in faults] == [4, 5, 8]


@pytest.mark.parametrize(
    ("models", "line"),
    [
        ('{"a": "m",\n"a": "n"}', 2),
        ('{"a": "m",\n"a": {}}', 2),
        ('{"a": "m",\n"b": {"model": "m", "aliases": [\n"a"]}}', 2),
        ('{"b": {"model": "m", "aliases": ["a"]},\n"a": "m"}', 2),
        ('{"a": {"model": "m",\n"aliases": ["a"]}}', 2),
        ('{"a": {"model": "m",\n"aliases": ["x", "x"]}}', 2),
    ],
)
def test_a_name_means_one_model_and_appears_once(models: str, line: int) -> None:
    _, faults = read(models)
    found = [fault for fault in faults if "already means the model" in fault.problem]
    assert [fault.line for fault in found] == [line]


def test_a_key_appears_once() -> None:
    _, (fault,) = read('{"a": {"model": "m",\n"keep": true,\n"keep": false}}')
    assert fault == Fault(3, '"keep" is in "a" twice; see line 2')


def test_one_model_is_the_default() -> None:
    default = {"model": "m", "default": True}
    _, (fault,) = read({"a": default, "b": "m", "c": default})
    assert fault.problem == '"a" and "c" are "default"; only one can be'


@pytest.mark.parametrize("models", ["[]", "7", '"m"', "null", "{}", '{"$schema": "x"}'])
def test_a_file_has_to_name_models(models: str) -> None:
    entries, (fault,) = read(models)
    assert entries == ()
    assert 'write {"name": "path or hub id"}' in fault.problem


def test_the_schema_s_address_is_not_a_model() -> None:
    entries, faults = read({"$schema": "model_config.schema.json", "a": "m"})
    assert [each.name for each in entries] == ["a"]
    assert faults == []


def test_the_number_of_models_is_bounded() -> None:
    models = {f"m{number}": "m" for number in range(MOST + 1)}
    entries, (fault,) = read(models)
    assert len(entries) == MOST
    assert fault == Fault(MOST + 2, f"{MOST + 1} models; {MOST} are allowed")


def test_an_error_shows_faults_in_the_order_of_lines_up_to_a_limit() -> None:
    faults = [Fault(line, "x") for line in range(SHOWN + 5, 0, -1)]
    lines = str(InvalidCatalog("f.json", faults)).splitlines()
    assert lines[0] == "f.json:1: x"
    assert lines[-1] == "f.json: 5 more"
    assert len(lines) == SHOWN + 1
    assert str(InvalidCatalog("f.json", [Fault(0, "y")])) == "f.json: y"


def test_texts_of_the_file_are_shown_in_one_short_line() -> None:
    assert shortened('a\n"\ud800') == '"a\\n"\\ud800"'
    assert len(shortened("x" * 1000)) < 80


ANY = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=9),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from([key.name for key in KEYS]) | st.text(max_size=6), inner, max_size=5
        )
    ),
    max_leaves=20,
)


@pytest.mark.slow
@given(st.dictionaries(st.sampled_from("abc") | st.text(max_size=4), ANY, max_size=4) | ANY)
@bounded(deadline=None, max_examples=400)
def test_any_value_is_entries_or_faults_with_lines(models: Any) -> None:
    text = json.dumps(models, indent=1)
    entries, faults = read(text)
    lines = text.count("\n") + 1
    assert entries or faults
    assert all(1 <= fault.line <= lines and fault.problem.isprintable() for fault in faults)
    for each in entries:
        assert each.variables["MODEL_NAME"] == each.name
        assert 1 <= each.line <= lines


def test_the_schema_s_address_has_to_be_one() -> None:
    _, (fault,) = read({"a": "m", "$schema": {"model": "m"}})
    assert fault == Fault(3, '"$schema" has to be the address of a schema')


def test_after_many_mistakes_nothing_is_looked_up_any_more() -> None:
    models = {"a": {"model": "m"} | {f"k{number}": 1 for number in range(SHOWN + 5)}}
    _, faults = read(models)
    assert [fault.problem.endswith("is not a key of a model") for fault in faults[-6:]] == [
        False,
        *[True] * 5,
    ]
