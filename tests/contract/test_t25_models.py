"""T-06, T-07, T-16, T-25 to T-29: the model settings of a container, and what is refused."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from tokenizers import Tokenizer, decoders, pre_tokenizers
from tokenizers.models import WordLevel

from contract.asking import post
from engine.tiny_models import VOCABULARY, save
from processes import ROOT, Running, free_port, typed
from rowcast.engine.kernels.linear_kernel import choose_linear

SERVER = "python inference-api/inference_api_server.py"
IMPORTS = 90.0  # seconds that importing torch may take on a busy machine


def environment(store: Path, **others: str) -> dict[str, str]:
    return {"PORT": str(free_port()), "MODEL_WEKA_DIR": str(store), "DEVICE": "cpu", **others}


@contextmanager
def served(store: Path, **others: str) -> Iterator[Running]:
    env = environment(store, **others)
    log = store / f"log-{env['PORT']}"
    with typed(SERVER, int(env["PORT"]), log, env=env, patience=IMPORTS) as server:
        yield server


def reply(server: Running) -> str:
    answer = post(server.port, {"text": "once upon", "max_tokens": 12, "seed": 3})
    assert answer.status == 200, answer.text
    assert answer.whole
    return answer.text


def refusal(store: Path, **others: str) -> str:
    """Return the sentence of a server that refuses to start; check that its status is 2."""
    ended = subprocess.run(
        [sys.executable, *SERVER.split()[1:]],
        cwd=ROOT,
        env={**os.environ, **environment(store, **others)},
        capture_output=True,
        text=True,
        timeout=100,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    assert "Traceback" not in ended.stderr
    return next(line for line in ended.stderr.splitlines() if line.startswith("rowcast: "))


@pytest.fixture
def store(tmp_path: Path) -> Path:
    """The folder that T-23 mounts, with a model in it."""
    model = save("llama", tmp_path)
    words = {"once": 0, "upon": 1} | {f"w{number}": number for number in range(2, VOCABULARY)}
    tokenizer = Tokenizer(WordLevel(words, unk_token="w2"))
    tokenizer.pre_tokenizer = pre_tokenizers.Whitespace()
    tokenizer.decoder = decoders.Fuse()
    tokenizer.save(str(model / "tokenizer.json"))
    return tmp_path


def as_fetched(model: Path, cache: Path) -> str:
    """Move the model into the layout of a hub's cache; return its id there."""
    home = cache / "models--somebody--llama"
    (home / "refs").mkdir(parents=True)
    (home / "refs" / "main").write_text("abc")
    shutil.copytree(model, home / "snapshots" / "abc")
    return "somebody/llama"


@pytest.mark.slow
def test_t16_t29_one_layer_of_random_weights_needs_nothing_else(tmp_path: Path) -> None:
    with served(tmp_path, FALCON_40B_PYTORCH_NO_WEIGHTS="1") as server:
        assert server.health()["model"] == "one-layer"
        first = reply(server)
        assert len(first) == 12
        assert first == reply(server)
        assert first.isascii()
        assert server.stop() == 0
    assert [path.name.partition("-")[0] for path in tmp_path.iterdir()] == ["log"]


@pytest.mark.slow
@pytest.mark.skipif(choose_linear(1) is None, reason="images are of the C kernel's weights")
def test_t06_t07_t25_to_t28_two_layers_are_saved_and_loaded_again(store: Path) -> None:
    two_layers = {"FALCON_40B_2LAYER": "1", "FALCON_40B_TTI_SUFFIX": "v2"}
    with served(store, MODEL="llama", FALCON_40B_SAVE="1", **two_layers) as server:
        saved, build = reply(server), server.health()["fingerprint"]
    assert [path.name for path in (store / "tti_cache").iterdir()] == ["llama-v2.image"]
    cache = store / "hub"
    name = as_fetched(store / "llama", cache)
    shutil.rmtree(store / "llama")
    offline = {"HF_CACHE": str(cache), "HF_HUB_OFFLINE": "1"}
    with served(store, MODEL=name, FALCON_40B_LOAD="1", **two_layers, **offline) as server:
        assert server.health()["fingerprint"] == build
        assert reply(server) == saved


@pytest.mark.slow
def test_t25_a_cache_that_does_not_fit_is_refused_with_the_arithmetic(store: Path) -> None:
    file = store / "llama" / "config.json"
    words = json.loads(file.read_text())
    file.write_text(json.dumps({**words, "max_position_embeddings": 2_000_000_000}))
    said = refusal(store, MODEL="llama")
    for part in ("llama does not fit: weights", "KV cache", "32 rows x 2000000000 positions"):
        assert part in said
    assert "Set a lower CONTEXT_LENGTH" in said


@pytest.mark.slow
def test_a_model_without_a_tokenizer_is_refused(store: Path) -> None:
    (store / "llama" / "tokenizer.json").unlink()
    assert "MODEL 'llama' has no tokenizer.json" in refusal(store, MODEL="llama")
