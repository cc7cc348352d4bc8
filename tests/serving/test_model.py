"""A model described in Python is an entry of the file of models: the same keys, the same bounds."""

import json
from pathlib import Path
from typing import Any, get_type_hints

import pytest

from rowcast.errors import InvalidField, RowcastError
from rowcast.frontend.request.defaults import CONFIGURED
from rowcast.models.file.entry import EntryReader
from rowcast.models.file.keys import KEYS
from rowcast.serving.model import Model, Options, Sampling, named


def test_its_options_are_the_keys_of_an_entry_and_the_sampling_defaults() -> None:
    assert set(Sampling.__annotations__) == {each.name for each in CONFIGURED}
    own = set(get_type_hints(Options)) - set(Sampling.__annotations__)
    assert own == {key.name for key in KEYS} - {"model"}


def test_an_entry_is_what_was_given() -> None:
    model = Model(
        "storyteller",
        dtype="int8",
        context_length=512,
        aliases=["teller", "stories"],
        load="lazy",
        idle_seconds=60,
        keep=True,
        max_new_tokens=2048,
        streaming_chunks=64,
        num_return_sequences=1,
    )
    assert model.entry() == {
        "model": "storyteller",
        "dtype": "int8",
        "context_length": 512,
        "aliases": ["teller", "stories"],
        "load": "lazy",
        "idle_seconds": 60,
        "keep": True,
        "max_new_tokens": 2048,
        "streaming_chunks": 64,
        "num_return_sequences": 1,
    }


def test_an_option_of_none_counts_as_omitted() -> None:
    assert Model("draft", dtype=None, temperature=None).entry() == {"model": "draft"}  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("path", "name"),
    [
        ("storyteller", "storyteller"),
        ("facebook/opt-125m", "opt-125m"),
        ("/models/mine/", "mine"),
        (Path("models/mine"), "mine"),
    ],
)
def test_its_name_is_the_last_part_of_its_place(path: str | Path, name: str) -> None:
    assert Model(path).name == name


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"dtyp": "int8"}, "dtyp is not an option of a model; did you mean dtype"),
        ({"model": "draft"}, "multiple values"),
        ({"dtype": "int9"}, "dtype is 'int9': .*int8"),
        ({"load": "late"}, "load is 'late'"),
        ({"aliases": ["a b"]}, "aliases is"),
        ({"keep": "yes"}, "keep is 'yes'"),
        ({"streaming_chunks": 0}, "streaming_chunks is 0"),
        ({"num_return_sequences": 129}, "num_return_sequences is 129"),
        ({"max_new_tokens": -1}, "max_new_tokens is -1"),
        ({"temperature": "hot"}, "temperature is 'hot'; give a number from 0 to 100"),
        ({"top_p": 1.5}, "top_p is 1.5; give a number from 0 to 1"),
        ({"min_p": True}, "min_p is True"),
        ({"generation_config": 3}, r"generation_config is 3; .* to_dict\(\)"),
        ({"generation_config": "none.json", "top_k": 3}, "cannot be read from .*none.json"),
    ],
)
def test_invalid_options_are_refused_at_once(options: dict[str, Any], problem: str) -> None:
    with pytest.raises((InvalidField, TypeError), match=problem):
        Model("storyteller", **options)


def test_a_file_of_models_takes_every_entry(tmp_path: Path) -> None:
    file = tmp_path / "generation_config.json"
    file.write_text('{"top_k": 5}')
    models = {
        "a": Model("storyteller", temperature=0.5).precompile(2, 64),
        "b": Model(tmp_path, generation_config=file, chat_template=tmp_path / "t.jinja"),
        "c": Model("draft", keep_alive_seconds=3, idle_seconds=1.5, default=True),
    }
    reader = EntryReader()
    entries = reader.read(json.dumps({name: each.entry() for name, each in models.items()}))
    assert reader.faults == []
    assert [each.name for each in entries] == ["a", "b", "c"]
    assert entries[0].variables["WARM_ROWS"] == "2"
    assert entries[0].load == "start"
    assert json.loads(entries[0].variables["CONFIG_FILE"]) == {"temperature": 0.5}
    assert entries[1].variables["CONFIG_FILE"] == str(file)


class Config:
    """A generation configuration of another library."""

    def to_dict(self) -> dict[str, Any]:
        return {"temperature": 0.7, "top_k": 20, "top_p": None, "max_new_tokens": 9}


def test_a_generation_configuration_is_a_dict_a_file_or_an_object(tmp_path: Path) -> None:
    words = {"temperature": 0.7, "top_k": 20}
    file = tmp_path / "config.json"
    file.write_text(json.dumps(words))
    assert Model("m", generation_config=words).entry()["generation_config"] == words
    assert Model("m", generation_config=file).entry()["generation_config"] == str(file)
    converted = Model("m", generation_config=Config()).entry()["generation_config"]
    assert converted == {**words, "max_new_tokens": 9}


@pytest.mark.parametrize("form", ["dict", "file", "object"])
def test_sampling_parameters_take_precedence_over_it(form: str, tmp_path: Path) -> None:
    words = {"temperature": 0.7, "top_k": 20, "max_new_tokens": 9}
    file = tmp_path / "config.json"
    file.write_text(json.dumps(words))
    config: Any = {"dict": words, "file": file, "object": Config()}[form]
    model = Model("m", generation_config=config, temperature=0.1, min_p=0.05)
    assert model.entry()["generation_config"] == words | {"temperature": 0.1, "min_p": 0.05}


def test_paths_are_made_absolute(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    entry = Model("m", chat_template="t.jinja", generation_config="g.json").entry()
    assert entry["chat_template"] == str(tmp_path / "t.jinja")
    assert entry["generation_config"] == str(tmp_path / "g.json")


def test_precompiling_loads_it_at_the_start_and_computes_a_prompt() -> None:
    model = Model("m", load="lazy")
    assert model.precompile() is model
    assert model.entry() == {"model": "m", "load": "start", "warm_rows": 1, "warm_tokens": 1024}


@pytest.mark.parametrize(
    ("rows", "tokens", "problem"),
    [
        (0, 8, "batch_size is 0; give a whole number from 1 to 32"),
        (33, 8, "batch_size is 33"),
        (True, 8, "batch_size is True"),
        (1, 0, "prefill_length is 0; give a whole number from 1 to 128"),
        (1, 129, "prefill_length is 129; give a whole number from 1 to 128"),
        (1, 1.5, "prefill_length is 1.5"),
    ],
)
def test_precompiling_more_than_there_is_room_for_is_refused(
    rows: Any, tokens: Any, problem: str
) -> None:
    with pytest.raises(InvalidField, match=problem):
        Model("m", context_length=128).precompile(rows, tokens)


def test_its_repr_has_its_options() -> None:
    shown = "Model('storyteller', dtype='int8', generation_config={'top_k': 5})"
    assert repr(Model("storyteller", dtype="int8", top_k=5)) == shown


@pytest.mark.parametrize(
    ("models", "problem"),
    [
        ({}, "name at least one"),
        ({"a b": "draft"}, "'a b' cannot name a model"),
        ({"": "draft"}, "'' cannot name a model"),
        ({3: "draft"}, "3 cannot name a model"),
        ({"a": 3}, "3 is not a model"),
        (None, "None is not a model"),
    ],
)
def test_an_invalid_model_or_name_is_refused(models: Any, problem: str) -> None:
    with pytest.raises(RowcastError, match=problem):
        named(models)
