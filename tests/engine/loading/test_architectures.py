"""Every supported architecture equals transformers' `generate`, greedily and in fp32.

`python tests/engine/loading/test_architectures.py` writes docs/models.md from the same list.

Covers `torch_engine`, `loader`, `loaded_engine`, `decoding/facts`, `flat_cache`,
`module_attention`, `module_decoder`.
"""

from pathlib import Path

import pytest
import torch
from transformers import AutoModelForCausalLM, BloomConfig

from engine.tiny_models import END, LEAN_SHAPES, SHAPES, VOCABULARY, save
from rowcast.engine.engine import Feed, Seating
from rowcast.engine.loading.architectures import SUPPORTED
from rowcast.engine.loading.loaded_engine import engine_over
from rowcast.engine.loading.loader import load
from rowcast.engine.loading.source import ModelSource
from rowcast.engine.torch_engine import TorchEngine
from rowcast.errors import UnknownModel
from rowcast.sampling_params import SamplingParams

ROOT = Path(__file__).resolve().parents[3]
PROMPT, REPLY, PIECE = 23, 24, 7


def engine_of(path: Path, *, llama: bool = True) -> TorchEngine:
    """Return a small engine over a checkpoint, probed."""
    cpu = torch.device("cpu")
    source = ModelSource(model=str(path), dtype=torch.float32, device=cpu, context=128, rows=8)
    engine = engine_over("tiny", load(source), rows=8, widest=64, llama=llama)
    engine.compile()
    return engine


def greedy(engine: TorchEngine, prompt: list[int], row: int = 3) -> list[int]:
    """Return one row's reply, its prompt fed in pieces."""
    params = SamplingParams(max_tokens=REPLY, min_tokens=REPLY, temperature=0.0)
    engine.seat(row, Seating(params, 1, 0, len(prompt)))
    tokens, fed = list(prompt), 0
    while len(tokens) < len(prompt) + REPLY:
        piece = tokens[fed : fed + PIECE]
        drawn = engine.step([Feed(row, fed, piece, draws=fed + len(piece) == len(tokens))])
        fed += len(piece)
        tokens += [token for row_drawn in drawn for token in row_drawn.tokens]
    return tokens[len(prompt) :]


BOTH = [pytest.param(name, False, id=f"{name}, modules") for name in LEAN_SHAPES]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "llama"), [*((name, True) for name in SHAPES), *BOTH])
def test_greedy_replies_equal_generate(name: str, llama: bool, tmp_path: Path) -> None:
    path = save(name, tmp_path)
    prompt = torch.randint(3, VOCABULARY, (1, PROMPT), generator=torch.Generator().manual_seed(5))
    reference = AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)
    wanted = reference.generate(
        prompt, max_new_tokens=REPLY, min_new_tokens=REPLY, do_sample=False, eos_token_id=END
    )
    assert greedy(engine_of(path, llama=llama), prompt[0].tolist()) == wanted[0, PROMPT:].tolist()


def test_every_served_architecture_is_tested() -> None:
    assert {shape().model_type for shape in SHAPES.values()} == set(SUPPORTED)


def test_another_architecture_is_refused_with_a_sentence(tmp_path: Path) -> None:
    config = BloomConfig(hidden_size=64, n_layer=1, n_head=4, vocab_size=VOCABULARY)
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    with pytest.raises(UnknownModel, match="models of type 'bloom' are not supported"):
        engine_of(tmp_path)


def test_rotations_that_depend_on_company_are_refused(tmp_path: Path) -> None:
    config = SHAPES["llama"]()
    config.rope_parameters = {"rope_type": "dynamic", "factor": 2.0, "rope_theta": 10000.0}
    AutoModelForCausalLM.from_config(config).save_pretrained(tmp_path)
    with pytest.raises(UnknownModel, match="other requests would change a reply"):
        engine_of(tmp_path)


def models_page() -> str:
    """Return the text of docs/models.md."""
    rows = "\n".join(f"| {name} | `{shape().model_type}` | yes |" for name, shape in SHAPES.items())
    return f"""# Models

Any `AutoModelForCausalLM` of these architectures, from a folder or a hub. Each row is a test: a
small random-weight checkpoint whose greedy fp32 replies equal those of transformers' `generate`,
token by token. Each also turns texts into [vectors](embeddings.md), which equal those of
transformers' states. Everything else is refused at load with a sentence; so are rotary positions of
type `dynamic` and `longrope`, which would let the longest prompt in a step change another's reply.

| architecture | `model_type` | equal to `generate` |
|---|---|---|
{rows}

This page is written by `make docs` from `tests/engine/loading/test_architectures.py`.
"""


def test_the_models_page_is_current() -> None:
    assert (ROOT / "docs" / "models.md").read_text() == models_page(), "run `make docs`"


if __name__ == "__main__":
    (ROOT / "docs" / "models.md").write_text(models_page())
