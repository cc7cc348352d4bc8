"""The JSON schema, the example and the page agree with the parser."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as bounded
from hypothesis import strategies as st
from jsonschema_rs import Draft202012Validator

from model_catalogs import settings_for
from processes import ROOT
from rowcast.models.catalog import read_catalog
from rowcast.models.file.entry import EntryReader
from rowcast.models.file.keys import KEYS
from rowcast.models.file.schema import main, schema, table

CONFIG = ROOT / "config"
VALID = Draft202012Validator(schema())


def is_read(models: Any) -> bool:
    """True if the parser finds no fault."""
    reader = EntryReader()
    reader.read(json.dumps(models))
    return not reader.faults


def test_the_schema_s_file_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    main([])
    current = (CONFIG / "model_config.schema.json").read_text()
    assert current == capsys.readouterr().out, "run `make docs`"


def test_the_page_s_table_is_current(capsys: pytest.CaptureFixture[str]) -> None:
    main(["--table"])
    assert capsys.readouterr().out == table()
    assert f"\n{table()}\n" in (ROOT / "docs" / "many-models.md").read_text(), "run `make docs`"


def test_the_example_is_right_and_names_its_schema() -> None:
    file = CONFIG / "model_config.example.json"
    models = json.loads(file.read_text())
    found = read_catalog(settings_for(file))
    assert {"storyteller", "vicuna_q2"} <= {build.name for build in found.builds}
    assert VALID.is_valid(models)
    assert (CONFIG / models["$schema"]).is_file()


SOME = st.sampled_from(
    [
        *(None, True, False, 0, 1, -1, 7, 0.5, -0.5, 10**7, "", "x", "a/b", "a b", "x" * 5000),
        *([], ["x"], ["x", "a b"], [1], {}, {"top_k": 3}),
        *("int8", "auto", "cpu", "cuda", "start", "lazy", "start "),
    ]
)


@given(st.sampled_from([key.name for key in KEYS] + ["modle", "$schema", ""]), SOME)
@bounded(deadline=None, max_examples=600)
def test_each_value_of_each_key_is_right_for_both_or_wrong_for_both(key: str, value: Any) -> None:
    models = {"house": {"model": "m"} | {key: value}}
    assert VALID.is_valid(models) == is_read(models)


@given(st.dictionaries(st.sampled_from(["a", "x/y", "a b", "/", "$schema", ""]), SOME) | SOME)
@bounded(deadline=None, max_examples=300)
def test_each_file_is_right_for_both_or_wrong_for_both(models: Any) -> None:
    named = not isinstance(models, dict) or set(models) != {"$schema"}  # counted as a model
    assert not named or VALID.is_valid(models) == is_read(models)
