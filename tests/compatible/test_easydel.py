"""EasyDeL's objects: what their arguments become, and the sentence of each mistake."""

from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

import rowcast.compatible.easydel as ed
from rowcast import RowcastError


def entry_of(**config: Any) -> dict[str, Any]:
    """Return the entry of the model that a vInference of this configuration describes."""
    inference = ed.vInference("scripted", generation_config=ed.vInferenceConfig(**config))
    return inference.model.entry()


def test_the_configuration_becomes_the_options_of_the_model() -> None:
    sampling = ed.SamplingParams(
        temperature=0.8,
        top_p=0.95,
        top_k=50,
        repetition_penalty=1.1,
        presence_penalty=0.1,
        frequency_penalty=0.1,
    )
    entry = entry_of(max_new_tokens=2048, streaming_chunks=64, sampling_params=sampling)
    assert entry == {
        "model": "scripted",
        "max_new_tokens": 2048,
        "streaming_chunks": 64,
        "num_return_sequences": 1,
        "generation_config": {
            "temperature": 0.8,
            "top_p": 0.95,
            "top_k": 50,
            "min_p": 0.0,
            "repetition_penalty": 1.1,
        },
    }


@pytest.mark.parametrize(
    ("config", "sampling"),
    [
        ({}, None),
        ({"temperature": 0.5, "top_k": 3}, {"temperature": 0.5, "top_k": 3}),
        ({"temperature": 0.5, "do_sample": False}, {"temperature": 0.0}),
    ],
)
def test_parameters_may_be_given_flat_as_in_earlier_versions(
    config: dict[str, Any], sampling: dict[str, Any] | None
) -> None:
    assert entry_of(**config).get("generation_config") == sampling


@pytest.mark.parametrize(
    "model",
    [
        "a/folder",
        Path("a/folder"),
        SimpleNamespace(name_or_path="a/folder"),  # as transformers' models have it
        ed.AutoEasyDeLModelForCausalLM.from_pretrained("a/folder", dtype="any", sharding=None),
    ],
)
def test_a_model_is_known_by_the_place_of_its_files(model: object) -> None:
    inference = ed.vInference(model, inference_name="LLaMA")
    assert inference.model.entry()["model"] == "a/folder"
    assert inference.inference_name == "LLaMA"
    assert ed.vInference(model).inference_name == "folder"


def test_a_bundled_model_names_its_end_tokens() -> None:
    ends = ed.AutoEasyDeLModelForCausalLM.from_pretrained("storyteller").generation_config
    assert ends.eos_token_id
    assert ed.AutoEasyDeLModelForCausalLM.from_pretrained("scripted").generation_config == (
        ed.EndTokens()
    )


@pytest.mark.parametrize(
    "arguments",
    [
        (ed.vInferencePreCompileConfig(batch_size=2, prefill_length=512),),
        (ed.vInferencePreCompileConfig(2, [128, 512]),),
        (2, [128, 512]),
        (2, 512),
    ],
)
def test_precompile_warms_the_longest_prompt(arguments: tuple[Any, ...]) -> None:
    inference = ed.vInference("scripted")
    inference.precompile(*arguments)
    entry = inference.model.entry()
    assert (entry["load"], entry["warm_rows"], entry["warm_tokens"]) == ("start", 2, 512)


def test_padding_is_the_configurations_or_the_processors() -> None:
    tokenizer = SimpleNamespace(pad_token_id=None, eos_token_id=5)
    assert ed.vInference("scripted", tokenizer)._pad == 5
    assert ed.vInference("scripted", SimpleNamespace(tokenizer=tokenizer))._pad == 5
    assert ed.vInference("scripted", tokenizer, ed.vInferenceConfig(pad_token_id=9))._pad == 9
    assert ed.vInference("scripted")._pad == 0


def test_a_server_has_one_or_several_by_name() -> None:
    one, two = (ed.vInference("scripted", inference_name=name) for name in ("one", "two"))
    assert list(ed.vInferenceApiServer(one).server.models) == ["one"]
    several = {"model1": one, "model2": two}
    assert list(ed.vInferenceApiServer(several, max_workers=2).server.models) == [*several]
    late = ed.vInferenceApiServer(inference_init_call=lambda: several)
    assert list(late.server.models) == [*several]


@pytest.mark.parametrize(
    ("call", "sentence"),
    [
        (lambda: ed.vInference(None), "model is None; give a folder, a hub id"),
        (lambda: ed.vInference(""), "model is ''; give a folder"),
        (ed.vInferenceApiServer, "inference_map is None; give a vInference"),
        (lambda: ed.vInferenceApiServer({}), "inference_map is .*; give a vInference"),
        (lambda: ed.vInferenceApiServer({"a b": ed.vInference("scripted")}), "cannot name a model"),
        (lambda: entry_of(max_new_tokens=-1), "max_new_tokens is -1"),
        (lambda: entry_of(num_return_sequences={1: 2}), "num_return_sequences is "),
        (
            lambda: ed.vInference("scripted").precompile(
                ed.vInferencePreCompileConfig(vision_included=True)
            ),
            "models here read text; leave out the vision_ fields",
        ),
        (lambda: ed.vInference("scripted").precompile(64, 8), "batch_size is 64"),
    ],
)
def test_a_mistake_is_one_sentence(call: Callable[[], object], sentence: str) -> None:
    with pytest.raises(RowcastError, match=sentence):
        call()
