"""The Llama decoder equals transformers' modules, and refuses models that it cannot compute.

Covers `llama/decoder`, `llama/model`, `llama/shape`, `packed_parts`, `row_cache`.
"""

from collections.abc import Sequence
from pathlib import Path

import pytest
import torch
import transformers
from torch import Tensor
from transformers import AutoModelForCausalLM, PreTrainedConfig

from engine.tiny_models import LEAN_SHAPES, SHAPES, VOCABULARY, save
from rowcast.engine.decoding.llama.decoder import KernelsMissing, LlamaDecoder, llama_maker
from rowcast.engine.decoding.llama.model import LlamaModel, LlamaShape
from rowcast.engine.decoding.llama.shape import read_form
from rowcast.engine.decoding.row_cache import RowCache
from rowcast.engine.kernels.attention import choose_attention
from rowcast.engine.kernels.linear import KernelMultiplier
from rowcast.engine.kernels.linear_kernel import choose_linear
from rowcast.engine.kernels.packed_weight import Kind
from rowcast.engine.loading.loaded_engine import engine_over
from rowcast.engine.loading.loader import load
from rowcast.engine.loading.source import ModelSource
from rowcast.engine.torch_engine import TorchEngine

ROWS, CONTEXT, WIDEST = 4, 64, 24
TOLERANCE = {torch.float32: 2e-5, torch.bfloat16: 0.04}


def engine_of(
    path: Path, dtype: torch.dtype, *, llama: bool, threads: int = 1, kind: Kind | None = None
) -> TorchEngine:
    kernel = choose_linear(threads)
    if kernel is None:
        pytest.skip("the linear kernel is not fast here")
    cpu = torch.device("cpu")
    source = ModelSource(model=str(path), dtype=dtype, device=cpu, context=CONTEXT, rows=ROWS)
    kind = kind or ("bf16" if dtype == torch.bfloat16 else "fp32")
    multiplier = KernelMultiplier(kernel, kind)
    return engine_over(
        "tiny", load(source), rows=ROWS, widest=WIDEST, multiplier=multiplier, llama=llama
    )


@torch.inference_mode()
def said(engine: TorchEngine, pieces: Sequence[int]) -> Tensor:
    """Return the logits of three rows' prompts, fed in pieces: [rows, tokens, vocabulary]."""
    found, at = [], 0
    for piece in pieces:
        slots = [(row, at + each) for each in range(piece) for row in range(3)]
        tokens = [(31 * row + 7 * place + 3) % VOCABULARY for row, place in slots]
        rows, places = [row for row, _ in slots], [place for _, place in slots]
        logits = engine.decoder.logits(tokens, rows, places, range(len(slots)))
        found.append(logits.float().view(piece, 3, -1).transpose(0, 1).clone())
        at += piece
    return torch.cat(found, dim=1)


@pytest.fixture(params=LEAN_SHAPES)
def path(request: pytest.FixtureRequest, tmp_path: Path) -> Path:
    return save(request.param, tmp_path)


@pytest.mark.parametrize("dtype", TOLERANCE, ids=["fp32", "bf16"])
def test_it_says_what_the_modules_say(path: Path, dtype: torch.dtype) -> None:
    llama, modules = (engine_of(path, dtype, llama=llama) for llama in (True, False))
    assert isinstance(llama.decoder, LlamaDecoder)
    assert not isinstance(modules.decoder, LlamaDecoder)
    pieces = [8, 8, 1, 1, 3]
    ours, theirs = said(llama, pieces), said(modules, pieces)
    spread = theirs.std().item()
    assert (ours - theirs).abs().max().item() < TOLERANCE[dtype] * 8 * spread
    assert (ours - theirs).square().mean().sqrt().item() < TOLERANCE[dtype] * spread


def test_threads_pieces_and_blank_slots_change_no_bit(path: Path) -> None:
    wanted = said(engine_of(path, torch.bfloat16, llama=True), [8, 8, 8])
    two = engine_of(path, torch.bfloat16, llama=True, threads=2)
    assert torch.equal(said(two, [1, 5, 8, 2, 7, 1]), wanted)
    with torch.inference_mode():
        blank = two.decoder.logits([5, 0, 9], [3, -1, 2], [0, 0, 0], [0, 2]).clone()
        assert torch.equal(two.decoder.logits([5], [1], [0], [0]), blank[:1])
        assert two.decoder.logits([9], [0], [0], []).shape == (0, VOCABULARY)


def test_int8_weights_are_pure_too(tmp_path: Path) -> None:
    path = save("llama", tmp_path)
    engine = engine_of(path, torch.bfloat16, llama=True, kind="int8")
    assert torch.equal(said(engine, [8, 8]), said(engine, [1, 3, 5, 7]))


def test_a_step_that_does_not_fit_is_refused(tmp_path: Path) -> None:
    decoder = engine_of(save("llama", tmp_path), torch.float32, llama=True).decoder
    for tokens, rows, positions, wanted in (
        ([VOCABULARY], [0], [0], [0]),
        ([-1], [0], [0], [0]),
        ([5], [ROWS], [0], [0]),
        ([5], [0], [CONTEXT], [0]),
        ([5], [0], [-1], [0]),
        ([5], [0], [0], [1]),
        ([5] * 25, [0] * 25, list(range(25)), [0]),
    ):
        with pytest.raises(ValueError):
            decoder.logits(tokens, rows, positions, wanted)


def test_its_weights_are_not_kept_twice(tmp_path: Path) -> None:
    path, cpu = str(save("llama", tmp_path)), torch.device("cpu")
    loaded = load(ModelSource(model=path, dtype=None, device=cpu, context=CONTEXT, rows=ROWS))
    engine_over("tiny", loaded, rows=ROWS, widest=WIDEST)
    left = {name.split(".")[-2] for name, _ in loaded.model.named_parameters()}
    assert left == {"embed_tokens", "input_layernorm", "post_attention_layernorm", "norm"}


def changed(**values: object) -> PreTrainedConfig:
    config = SHAPES["llama"]()
    for name, value in values.items():
        setattr(config, name, value)
    return config


def scaled(**rope: object) -> PreTrainedConfig:
    return changed(rope_parameters={"rope_theta": 1e4, **rope})


@pytest.mark.parametrize(
    ("config", "has_form"),
    [
        (changed(attention_bias=True, mlp_bias=True), True),
        (changed(tie_word_embeddings=True), True),
        (scaled(rope_type="linear", factor=4.0), True),
        (scaled(rope_type="dynamic", factor=4.0), False),
        (changed(hidden_act="gelu"), False),
        (SHAPES["mixtral"](), False),
        (SHAPES["gpt2"](), False),
        (transformers.Phi3Config(**changed().to_dict() | {"model_type": "phi3"}), False),
    ],
)
def test_only_the_form_is_taken(config: PreTrainedConfig, has_form: bool) -> None:
    assert (read_form(AutoModelForCausalLM.from_config(config)) is not None) == has_form


@pytest.mark.parametrize("name", ["biases", "tied", "linear", "yarn"])
def test_variants_say_what_the_modules_say(name: str, tmp_path: Path) -> None:
    config = {
        "biases": changed(attention_bias=True, mlp_bias=True),
        "tied": changed(tie_word_embeddings=True),
        "linear": scaled(rope_type="linear", factor=4.0),
        "yarn": scaled(rope_type="yarn", factor=4.0, original_max_position_embeddings=64),
    }[name]
    torch.manual_seed(1)
    model = AutoModelForCausalLM.from_config(config)
    with torch.no_grad():
        for weight in model.parameters():
            weight.add_(torch.randn_like(weight) * 0.08)
    model.save_pretrained(tmp_path)
    llama, modules = (engine_of(tmp_path, torch.float32, llama=llama) for llama in (True, False))
    assert isinstance(llama.decoder, LlamaDecoder)
    ours, theirs = said(llama, [8, 8]), said(modules, [8, 8])
    assert (ours - theirs).abs().max().item() < 2e-4 * theirs.std().item()


def test_a_packed_model_is_refused_without_the_kernel_of_its_weights() -> None:
    cpu, dtype = torch.device("cpu"), torch.float32
    attention = choose_attention(cpu, dtype)
    cache = RowCache({}, attention, rows=1, context=8, dtype=dtype, device=cpu)
    shape = LlamaShape(
        heads=1, kv_heads=1, head_size=2, epsilon=1e-5, basis="own", mixed=1, layers=()
    )
    with pytest.raises(KernelsMissing, match="no longer available"):
        llama_maker(LlamaModel(shape, {}), None, 8)(attention, cache, 4)
