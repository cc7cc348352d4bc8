"""What the kernels compute numbers with: rounding, products of tiles, powers of two.

    rounded      fp32 to a dtype, half to even
    multiplied   sums + a @ b, in fp32 (int32 for int8), the one product of all kernels
    power        two to the power of x, by the hardware
    magnitude    bits of |x|, integers that sort like it

Kernels are launched without fusion of products and sums, so that each rounds where it is written,
in any kernel; a fused one is written as `tl.fma`. Triton's interpreter differs from the hardware in
two places, and only here: it truncates where it should round to bf16; and it multiplies tiles by a
library whose order of sums depends on a line's place, and not in bf16, so it does so in fp64.
"""

import triton
import triton.language as tl

INTERPRETED = tl.constexpr(triton.knobs.runtime.interpret)
LOG2E = tl.constexpr(1.4426950408889634)
UNFUSED = {"enable_fp_fusion": False, "num_warps": 4}
"""How every kernel is launched; a number of warps decides which instructions multiply."""


@triton.jit
def rounded(values: tl.tensor, dtype: tl.constexpr) -> tl.tensor:
    """Return fp32 values in a dtype, rounded half to even."""
    if INTERPRETED and dtype == tl.bfloat16:
        bits = values.to(tl.uint32, bitcast=True)
        nearest = (bits + 0x7FFF + ((bits >> 16) & 1)) >> 16
        halves = tl.where(values == values, nearest, 0x7FC0).to(tl.uint16)  # noqa: PLR0124  # NaN
        return halves.to(tl.bfloat16, bitcast=True)
    return values.to(dtype)


@triton.jit
def as_stored(values: tl.tensor, dtype: tl.constexpr) -> tl.tensor:
    """Return fp32 values as they would be read back from memory in a dtype."""
    return rounded(values, dtype).to(tl.float32)


@triton.jit
def multiplied(left: tl.tensor, right: tl.tensor, sums: tl.tensor) -> tl.tensor:
    """Return sums + left @ right. Products of bf16 are exact in fp32."""
    if INTERPRETED and sums.dtype == tl.float32:
        left, right = left.to(tl.float32).to(tl.float64), right.to(tl.float32).to(tl.float64)
        return tl.dot(left, right, sums.to(tl.float64), out_dtype=tl.float64).to(tl.float32)
    return tl.dot(left, right, sums, input_precision="ieee", out_dtype=sums.dtype)


@triton.jit
def power(exponents: tl.tensor) -> tl.tensor:
    """Return two to the power of each."""
    return tl.exp2(exponents)


@triton.jit
def sigmoid(values: tl.tensor) -> tl.tensor:
    return tl.math.div_rn(1.0, 1.0 + tl.exp2(-values * LOG2E))


@triton.jit
def magnitude(values: tl.tensor) -> tl.tensor:
    """Return the bits of |values|: integers that sort like them, infinities and NaN above all."""
    return values.to(tl.int32, bitcast=True) & 0x7FFFFFFF
