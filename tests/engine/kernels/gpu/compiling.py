"""Compiles every kernel for GPUs that are not here: a program, and a launcher that only compiles.

    python compiling.py 90    a line of JSON per kernel that was launched: what its code holds

The package's own functions are called, so that the signatures are those of real launches.
"""

import json
import sys
from collections.abc import Callable
from typing import Any

import torch
import triton
from torch import Tensor
from triton.backends.compiler import GPUTarget
from triton.compiler import ASTSource
from triton.runtime.jit import JITFunction

from rowcast.engine.kernels.gpu import linear, linear_int8, token_by_token
from rowcast.engine.kernels.gpu.attention import TritonAttention
from rowcast.engine.kernels.gpu.token_sampler import TritonTokenSampler
from rowcast.sampling_params import SamplingParams

OPTIONS = ("num_warps", "num_stages", "enable_fp_fusion")
POINTERS = {
    torch.bfloat16: "*bf16",
    torch.float32: "*fp32",
    torch.float64: "*fp64",
    torch.int8: "*i8",
    torch.int32: "*i32",
    torch.int64: "*i64",
}


def kind(value: Any) -> str:
    """Return an argument's type in Triton's terms."""
    if isinstance(value, Tensor):
        return POINTERS[value.dtype]
    return "i32" if isinstance(value, int) else "fp32"


def is_fixed(parameter: Any, value: Any) -> bool:
    """True if a launch compiles a kernel of its own for this value."""
    if parameter.is_constexpr:
        return True
    return isinstance(value, int) and value == 1 and not parameter.do_not_specialize


def is_aligned(parameter: Any, value: Any) -> bool:
    """True if a launch tells the compiler that 16 divides an address or a number."""
    if isinstance(value, Tensor):
        return True
    even = isinstance(value, int) and value % 16 == 0
    return even and not parameter.is_constexpr and not parameter.do_not_specialize


def compiler(target: GPUTarget, report: Callable[[dict[str, Any]], None]) -> Callable[..., None]:
    """Return what takes the place of a launch."""

    def run(kernel: Any, *args: Any, grid: object, warmup: bool, **named: Any) -> None:
        options = {name: named.pop(name) for name in OPTIONS if name in named}
        bound = dict(zip(kernel.arg_names, args, strict=False)) | named
        fixed = {each.name for each in kernel.params if is_fixed(each, bound[each.name])}
        aligned = {
            (at,): [["tt.divisibility", 16]]
            for at, each in enumerate(kernel.params)
            if is_aligned(each, bound[each.name])
        }
        constants = {name: bound[name] for name in fixed}
        signature = {
            name: "constexpr" if name in fixed else kind(value) for name, value in bound.items()
        }
        source = ASTSource(kernel, signature, constants, aligned)
        made = triton.compile(source, target=target, options=options)
        code = made.asm["ptx"]
        report(
            {
                "kernel": f"{kernel.__module__.rpartition('.')[2]}.{kernel.__name__}",
                "shared": made.metadata.shared,
                "products": code.count("mma.sync") + code.count("wgmma.mma_async"),
                "fused": code.count("fma.rn.f"),
                "spilled": code.count("ld.local"),
            }
        )

    return run


def launch_everything() -> None:
    """Call each function of the package once, or for each form that it is compiled in."""
    bf16 = torch.bfloat16
    states, weight = torch.zeros(3, 128, dtype=bf16), torch.zeros(192, 128, dtype=bf16)
    bias, residual = torch.zeros(192), torch.zeros(3, 192, dtype=bf16)
    linear.linear(states, weight, bias, residual=residual)
    linear.gated(states, weight)
    linear_int8.linear(states, linear_int8.pack(weight), bias, residual=residual)
    token_by_token.rms_norm(states, states[0], 1e-5)
    keys = torch.zeros(2, 1, 1024, 64, dtype=bf16)
    row = position = torch.zeros(3, dtype=torch.int32)
    merged, angles = torch.zeros(3, 6 * 64, dtype=bf16), torch.zeros(1024, 64, dtype=bf16)
    norm = angles[0]
    query = token_by_token.place_heads(
        merged, keys, keys, row, position, angles=(angles, angles), norms=(norm, norm)
    )
    attention = TritonAttention()
    attention.store(keys[:, :, 0], keys[:, :, 0], keys, keys, row[:2], position[:2])
    for tokens in (1, 100):  # each span by itself, and all spans in turn
        many = torch.zeros(3 * tokens, dtype=torch.int32)
        attention.attend(query.repeat(tokens, 1, 1), keys, keys, many, many, scale=0.1)
    extra: dict[str, Any] = {
        "window": 100,
        "softcap": 5.0,
        "sinks": torch.zeros(4),
        "bias": torch.zeros(4, 1024),
    }
    attention.attend(query, keys, keys, row, position, scale=0.1, **extra)
    sampler = TritonTokenSampler(1, 1000, torch.device("cpu"))
    sampler.seat(0, SamplingParams(max_tokens=1, top_k=5), "few", 1)
    sampler.choose(torch.zeros(1, 1000, dtype=bf16), [0], [0])


def main() -> None:
    target = GPUTarget("cuda", int(sys.argv[1]), 32)
    JITFunction.run = compiler(target, lambda found: print(json.dumps(found), flush=True))
    launch_everything()


if __name__ == "__main__":
    main()
