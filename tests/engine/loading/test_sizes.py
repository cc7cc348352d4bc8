"""Faults in a configuration or a folder are reported before anything is built from it."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowcast.engine.loading.sizes import BOUNDS, check_configuration, check_weights
from rowcast.errors import UnknownModel
from rowcast.settings import STORYTELLER

GOOD: Mapping[str, Any] = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "vocab_size": 199,
}


def refused(words: Mapping[str, Any]) -> str:
    with pytest.raises(UnknownModel) as refusal:
        check_configuration("m", words)
    assert "\n" not in str(refusal.value)
    return str(refusal.value)


def test_a_sound_configuration_passes() -> None:
    check_configuration("m", GOOD)
    check_configuration("m", {**GOOD, "head_dim": None})
    check_configuration("m", {**GOOD, "auto_map": {"AutoConfig": "code.Config"}})
    check_configuration("m", {"model_type": "gemma3", "text_config": {**GOOD, "vocab_size": 9}})


@pytest.mark.parametrize("value", [-1, 0, 2**40, 2**70, "64", None, 1.5, True, [], {}, "x" * 99])
@pytest.mark.parametrize("name", ["hidden_size", "num_hidden_layers", "vocab_size"])
def test_l_a_size_that_is_none_is_refused(name: str, value: object) -> None:
    said = refused({**GOOD, name: value})
    assert said.startswith(f"config.json of MODEL 'm' has {name} ")
    assert said.endswith(f"; it must be a whole number from 1 to {BOUNDS[name]}")
    assert len(said) < 200


def test_l_a_size_within_a_part_is_refused_too() -> None:
    assert "n_layer 0" in refused({"model_type": "gemma3", "text_config": {"n_layer": 0}})


def test_l_heads_that_do_not_divide_are_refused() -> None:
    said = refused({**GOOD, "num_attention_heads": 5, "num_key_value_heads": 5})
    assert "hidden_size 64, which must be a multiple of num_attention_heads 5" in said
    said = refused({**GOOD, "num_key_value_heads": 3})
    assert "num_attention_heads 4, which must be a multiple of num_key_value_heads 3" in said
    check_configuration("m", {**GOOD, "num_attention_heads": 6, "head_dim": 16})


def test_m6_a_type_that_is_not_served_and_brings_python_is_refused() -> None:
    said = refused({**GOOD, "model_type": "own", "auto_map": {"AutoConfig": "code.Config"}})
    assert "needs its own Python code (auto_map), which is never run" in said
    assert "llama" in said


@pytest.mark.slow
@given(
    st.dictionaries(
        st.sampled_from([*GOOD, *BOUNDS, "text_config", "auto_map"]),
        st.recursive(
            st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=3),
            lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(), inner),
            max_leaves=4,
        ),
    )
)
@settings(deadline=None, derandomize=True, max_examples=300)
def test_l_any_json_passes_or_is_refused_with_a_sentence(changed: dict[str, Any]) -> None:
    with suppress(UnknownModel):
        check_configuration("m", {**GOOD, **changed})


@pytest.mark.parametrize("name", ["pytorch_model.bin", "model.pt", "weights.pth", "last.ckpt"])
def test_l_pickled_weights_are_refused_with_the_way_out(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"")
    with pytest.raises(UnknownModel, match=r"are pickled .*save the model as safetensors"):
        check_weights("m", tmp_path)


def test_l_without_any_weights_it_says_what_is_missing(tmp_path: Path) -> None:
    with pytest.raises(UnknownModel, match=r"has no \*\.safetensors file"):
        check_weights("m", tmp_path)


def test_beside_safetensors_other_files_do_not_matter(tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin").write_bytes(b"")
    (tmp_path / "model.safetensors").write_bytes(b"")
    check_weights(STORYTELLER, tmp_path)
