"""DTYPE: every name is known, int8 is refused where no kernel computes it, sizes are counted.

Covers `packed_modules`, `kernels/linear`, `decoders`.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import get_args

import pytest
import torch
from torch import Tensor, nn
from transformers import AutoModelForCausalLM

from engine.tiny_models import SHAPES, save
from rowcast.engine.decoding.decoders import packing_multiplier
from rowcast.engine.decoding.experts import PackedExperts
from rowcast.engine.decoding.packed_modules import pack, packed_bytes
from rowcast.engine.decoding.precision import PRECISIONS, PrecisionUnavailable
from rowcast.engine.kernels.linear import (
    KernelMultiplier,
    Product,
)
from rowcast.engine.kernels.linear_kernel import choose_linear
from rowcast.engine.kernels.packed_weight import Kind, weight_bytes
from rowcast.engine.loading.engine_factory import prepare
from rowcast.settings import Dtype, read_settings

CPU = torch.device("cpu")
KINDS: tuple[Kind, ...] = get_args(Kind)


def test_every_name_of_the_setting_is_known() -> None:
    assert set(PRECISIONS) == set(get_args(Dtype))


def test_int8_is_refused_on_a_gpu() -> None:
    with pytest.raises(PrecisionUnavailable, match=r"set DEVICE=cpu, or DTYPE=bfloat16"):
        packing_multiplier("int8", torch.device("cuda"), 1)
    assert packing_multiplier("bfloat16", torch.device("cuda"), 1) is None


def test_int8_is_refused_without_a_compiler(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    settings = read_settings(model=str(save("llama", tmp_path)), dtype="int8", device="cpu")
    with pytest.raises(PrecisionUnavailable, match=r"needs a C compiler.*DTYPE=bfloat16"):
        prepare(settings)


@pytest.mark.slow
def test_the_setting_reaches_the_engine(tmp_path: Path) -> None:
    made = []
    for dtype in ("bfloat16", "int8"):
        settings = read_settings(model=str(save("llama", tmp_path)), dtype=dtype, device="cpu")
        made.append(prepare(settings)())
        made[-1].compile()
    assert [engine.decoder.name[-5:] for engine in made] == ["-bf16", "-int8"]
    assert made[0].fingerprint != made[1].fingerprint


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize(("outputs", "inputs"), [(16, 32), (17, 33), (250, 900)])
def test_a_packed_weight_takes_what_is_said(kind: Kind, outputs: int, inputs: int) -> None:
    kernel = choose_linear(1, slow_too=True)
    if kernel is None:
        pytest.skip("no compiler here")
    with kernel:
        packed = kernel.pack([torch.zeros(outputs, inputs)], kind)
    assert packed.size == weight_bytes(outputs, inputs, kind)


@pytest.mark.parametrize("name", ["gpt2", "falcon, ALiBi", "opt", "mixtral", "gpt_oss"])
def test_all_that_is_linear_is_packed_and_counted(name: str) -> None:
    """Includes modules that are not plain nn.Linear; the rest counts unpacked."""
    kernel = choose_linear(1, slow_too=True)
    if kernel is None:
        pytest.skip("no compiler here")
    model = AutoModelForCausalLM.from_config(SHAPES[name](), dtype=torch.bfloat16)
    told = packed_bytes(model, "int8")
    counting = Counting(KernelMultiplier(kernel, "int8"))
    pack(model, counting)
    left = sum(each.numel() * each.itemsize for each in model.parameters())
    experts = [each for each in model.modules() if isinstance(each, PackedExperts)]
    of_experts = sum(
        weight_bytes(packed.outputs, packed.inputs, "int8")
        for layer in experts
        for expert in layer.experts
        for packed in expert
    )
    assert told == left + counting.size + of_experts
    assert bool(experts) == (name in {"mixtral", "gpt_oss"})
    assert not [each for each in model.modules() if isinstance(each, nn.Linear)]


class Counting(KernelMultiplier):
    """Sums the size of what is packed."""

    def __init__(self, other: KernelMultiplier) -> None:
        super().__init__(other.kernel, other.kind)
        self.size = 0

    def pack(self, weights: Sequence[Tensor], bias: Tensor | None) -> Product:
        for each in weights:
            self.size += weight_bytes(len(each), each.shape[1], self.kind)
        return super().pack(weights, bias)
