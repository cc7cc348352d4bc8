"""A hostile or broken model folder: refused with one sentence, and none of its Python runs.

The backend is started by hand, as in a terminal where the user answers yes to every question (M6,
L).

Covers `model_files`.
"""

import json
import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

import pytest

from processes import ROOT

pytestmark = pytest.mark.slow

PATIENCE = 110.0
LLAMA = {
    "model_type": "llama",
    "hidden_size": 64,
    "intermediate_size": 96,
    "num_hidden_layers": 2,
    "num_attention_heads": 4,
    "num_key_value_heads": 2,
    "max_position_embeddings": 256,
    "vocab_size": 199,
}
CODE = """
from pathlib import Path
Path({mark!r}).write_text("it ran")
from transformers import PreTrainedConfig, PreTrainedModel
class Config(PreTrainedConfig):
    model_type = "own"
class Model(PreTrainedModel):
    config_class = Config
"""
AUTO_MAP = {"AutoConfig": "code.Config", "AutoModelForCausalLM": "code.Model"}


def folder_of(folder: Path, configuration: Mapping[str, object], **files: bytes) -> Path:
    """Create a model folder with these files; `__` in a name stands for its dot."""
    folder.mkdir()
    (folder / "config.json").write_text(json.dumps(configuration))
    for name, content in files.items():
        (folder / name.replace("__", ".")).write_bytes(content)
    return folder


def start(model: Path, socket: Path) -> subprocess.CompletedProcess[str]:
    """Run a backend by hand, and answer yes to every question."""
    return subprocess.run(
        [sys.executable, "inference-api/decode_backend.py", "--backend-socket", str(socket)],
        cwd=ROOT,
        env=os.environ | {"MODEL": str(model), "HF_HUB_OFFLINE": "1", "DEVICE": "cpu"},
        input="y\n" * 20,
        capture_output=True,
        text=True,
        timeout=PATIENCE,
        check=False,
    )


def sentence_of(done: subprocess.CompletedProcess[str]) -> str:
    """Return the one sentence with which it was refused."""
    assert done.returncode == 2, done.stderr
    assert "Traceback" not in done.stderr
    (said,) = [line for line in done.stderr.splitlines() if line.startswith("rowcast: ")]
    assert said.startswith("rowcast: the backend cannot start: ")
    return said


@pytest.mark.parametrize("kind", ["own", "llama"])
def test_m6_python_that_comes_with_a_model_never_runs(tmp_path: Path, kind: str) -> None:
    mark = tmp_path / "mark"
    code = CODE.format(mark=str(mark)).encode()
    configuration = {**LLAMA, "model_type": kind, "auto_map": AUTO_MAP}
    model = folder_of(tmp_path / "model", configuration, code__py=code)
    said = sentence_of(start(model, tmp_path / "b.sock"))
    assert not mark.exists()
    if kind == "own":
        assert "needs its own Python code (auto_map), which is never run" in said
    else:
        assert "has no *.safetensors file" in said


@pytest.mark.parametrize(
    ("changed", "files", "says"),
    [
        pytest.param({}, {"pytorch_model__bin": b"\x80\x04N."}, "are pickled", id="pickled"),
        pytest.param({}, {"model__safetensors": b"\x01"}, "cannot be read", id="corrupt"),
        pytest.param({"hidden_size": -64}, {}, "hidden_size -64; it must be", id="a size"),
        pytest.param(
            {},
            {"model__safetensors": b"\x01", "generation_config__json": b"{"},
            "generation_config.json of MODEL",
            id="no JSON",
        ),
    ],
)
def test_l_a_broken_folder_is_one_sentence(
    tmp_path: Path, changed: dict[str, object], files: dict[str, bytes], says: str
) -> None:
    model = folder_of(tmp_path / "model", {**LLAMA, **changed}, **files)
    assert says in sentence_of(start(model, tmp_path / "b.sock"))
