"""What a model's folder specifies about its vectors, and what is not computed here."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from rowcast.errors import UnknownModel
from rowcast.model_files import ModelFiles
from rowcast.settings import read_settings
from rowcast.text.vector_form import VectorForm, vector_form_of

PACKAGE = "sentence_transformers.models"
FLAGS = dict.fromkeys(
    ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens", "weightedmean_tokens"), False
)


def folder(
    path: Path,
    *types: str,
    modes: Mapping[str, bool] | None = None,
    own: Mapping[str, Any] | None = None,
) -> ModelFiles:
    """Write the files of a sentence-transformers model. `own`: the pooling step's configuration."""
    steps = [
        {
            "idx": at,
            "name": f"{at}",
            "path": f"{at}_{each}" if at else "",
            "type": f"{PACKAGE}.{each}",
        }
        for at, each in enumerate(types)
    ]
    (path / "modules.json").write_text(json.dumps(steps))
    if "Pooling" in types:
        named = path / f"{types.index('Pooling')}_Pooling"
        named.mkdir()
        flags = {
            f"pooling_mode_{name}": value for name, value in {**FLAGS, **(modes or {})}.items()
        }
        config = {"word_embedding_dimension": 64, "include_prompt": True, **flags}
        (named / "config.json").write_text(json.dumps(config if own is None else own))
    return ModelFiles("tiny", path, None)


def form(files: ModelFiles | None, pooling: str = "auto") -> VectorForm:
    return vector_form_of(read_settings(model="scripted", pooling=pooling), files)


@pytest.mark.parametrize(
    ("types", "modes", "wanted"),
    [
        (("Transformer", "Pooling", "Normalize"), {"lasttoken": True}, VectorForm("last", True)),
        (("Transformer", "Pooling"), {"lasttoken": True}, VectorForm("last", False)),
        (("Transformer", "Pooling"), {"mean_tokens": True}, VectorForm("mean", False)),
        (("Transformer", "Normalize"), {}, VectorForm("last", True)),
    ],
)
def test_the_folder_decides(
    tmp_path: Path, types: tuple[str, ...], modes: dict[str, bool], wanted: VectorForm
) -> None:
    assert form(folder(tmp_path, *types, modes=modes)) == wanted


def test_a_mode_may_be_a_name(tmp_path: Path) -> None:
    named = {"pooling_mode": "mean"}
    assert form(folder(tmp_path, "Transformer", "Pooling", own=named)) == VectorForm("mean", False)


@pytest.mark.parametrize("pooling", ["last", "mean"])
def test_the_setting_precedes_the_folder(tmp_path: Path, pooling: str) -> None:
    files = folder(tmp_path, "Transformer", "Pooling", modes={"max_tokens": True})
    assert form(files).problem
    assert (form(files, pooling).pooling, form(files, pooling).problem) == (pooling, "")


@pytest.mark.parametrize(
    ("types", "modes", "problem"),
    [
        (("Transformer", "Pooling"), {"cls_token": True}, "pooled by cls"),
        (("Transformer", "Pooling"), {}, "pooled by nothing"),
        (
            ("Transformer", "Pooling"),
            {"mean_tokens": True, "lasttoken": True},
            "pooled by mean and lasttoken",
        ),
        (("Transformer", "Pooling", "Dense"), {"lasttoken": True}, "a step 'Dense'"),
    ],
)
def test_what_is_not_computed_is_a_problem(
    tmp_path: Path, types: tuple[str, ...], modes: dict[str, bool], problem: str
) -> None:
    assert problem in form(folder(tmp_path, *types, modes=modes)).problem


def test_other_models_are_pooled_by_their_last_token(tmp_path: Path) -> None:
    assert form(None) == form(ModelFiles("tiny", tmp_path, None)) == VectorForm("last", True)


@pytest.mark.parametrize("text", ["", "{}", "[1]", "[" * 5000])
def test_a_file_that_cannot_be_read_is_named(tmp_path: Path, text: str) -> None:
    (tmp_path / "modules.json").write_text(text)
    with pytest.raises(UnknownModel, match=r"modules\.json of MODEL 'tiny'"):
        form(ModelFiles("tiny", tmp_path, None))
