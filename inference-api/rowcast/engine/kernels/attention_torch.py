"""Attention in plain torch: the reference, and the fallback if there is no kernel.

Every number is made by single elementwise operations, each of which rounds the same way whatever
the shape: sums are folded in halves, powers are a polynomial, and keys are taken in blocks counted
from the row's first. So bits cannot depend on other tokens, as they could with matrix products or
library sums. It works on any device and needs no synchronisation on a GPU; it is not fast.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812  # its usual name
from torch import Tensor

LOG2E = 1.4426950408889634
BLOCK = 64  # keys that are reduced together
CHUNK = 1 << 22  # products held at once
POWER = (
    1.535336174e-04,
    1.339887486e-03,
    9.618437362e-03,
    5.550332470e-02,
    2.402264791e-01,
    6.931472029e-01,
    1.0,
)


@dataclass(frozen=True, slots=True)
class _Weighing:
    """How scores become weights, in powers of two."""

    scale: float
    window: int
    softcap: float
    sinks: Tensor | None  # [kv heads, share]
    bias: Tensor | None  # [kv heads, share, context]

    def scores(self, products: Tensor, first: int) -> Tensor:
        """Return a block's scores, [tokens, kv heads, share, BLOCK], from sums of products."""
        if self.softcap:
            scores = _tanh(products * (self.scale / self.softcap)) * (self.softcap * LOG2E)
        else:
            scores = products * (self.scale * LOG2E)
        if self.bias is None:
            return scores
        bias = self.bias[..., first : first + BLOCK] * LOG2E
        return scores + F.pad(bias, (0, BLOCK - bias.shape[-1]))

    def visible(self, position: Tensor, first: int) -> Tensor:
        """Return which keys of a block each token sees: [tokens, BLOCK]."""
        at = torch.arange(first, first + BLOCK, device=position.device)
        seen = at <= position[:, None]
        return seen & (at > position[:, None] - self.window) if self.window else seen


class TorchAttention:
    """The `Attention` Protocol by torch alone."""

    name = "torch"

    def attend(
        self,
        query: Tensor,
        keys: Tensor,
        values: Tensor,
        row: Tensor,
        position: Tensor,
        *,
        scale: float,
        window: int = 0,
        softcap: float = 0.0,
        sinks: Tensor | None = None,
        bias: Tensor | None = None,
    ) -> Tensor:
        tokens, heads, size = query.shape
        kv_heads, share = keys.shape[1], heads // keys.shape[1]
        weighing = _Weighing(
            scale,
            window,
            softcap,
            None if sinks is None else sinks.float().view(kv_heads, share) * LOG2E,
            None if bias is None else bias.float().reshape(kv_heads, share, -1),
        )
        grouped = query.reshape(tokens, kv_heads, share, size)
        some = max(1, CHUNK // (heads * BLOCK * max(size, values.shape[3])))
        if not tokens:
            return query.new_empty(0, heads, values.shape[3])
        mixed = [
            _attend(
                grouped[at : at + some],
                keys,
                values,
                row[at : at + some],
                position[at : at + some],
                weighing=weighing,
            )
            for at in range(0, tokens, some)
        ]
        return torch.cat(mixed).flatten(1, 2).to(query.dtype)

    def store(  # noqa: PLR0917  # in the order of `attend`
        self,
        key: Tensor,
        value: Tensor,
        keys: Tensor,
        values: Tensor,
        row: Tensor,
        position: Tensor,
    ) -> None:
        """Store keys and values; an empty slot repeats the first write, or changes nothing."""
        placed = row >= 0
        slots = torch.arange(len(row), device=row.device)
        source = torch.where(placed, slots, placed.int().argmax())
        any_placed = placed.any()
        rows = torch.where(any_placed, row[source], 0).long()
        at = torch.where(any_placed, position[source], 0).long()
        keys[rows, :, at] = torch.where(any_placed, key[source], keys[rows, :, at])
        values[rows, :, at] = torch.where(any_placed, value[source], values[rows, :, at])


def _attend(
    query: Tensor,
    keys: Tensor,
    values: Tensor,
    row: Tensor,
    position: Tensor,
    *,
    weighing: _Weighing,
) -> Tensor:
    """Return results of some tokens, [tokens, kv heads, share, value size], in fp32."""
    placed = row >= 0
    rows = row.clamp(min=0).long()
    query = query.float()
    top = torch.full(query.shape[:3], -torch.inf, device=query.device)
    total = torch.zeros_like(top)
    mixed = torch.zeros(*query.shape[:3], values.shape[3], device=query.device)
    for first in range(0, _end(keys, placed, position), BLOCK):
        visible = (weighing.visible(position, first) & placed[:, None])[:, None, None]
        products = query[..., None, :] * _block(keys, rows, first)[:, :, None]
        scores = weighing.scores(_folded(products, -1), first)
        scores = scores.masked_fill(~visible, -torch.inf)
        live = visible.any(-1)
        new_top = torch.where(live, torch.maximum(top, scores.amax(-1)), 0)
        weights = _power(scores - new_top[..., None]).masked_fill(~visible, 0)
        keep = _power(top - new_top)
        part = _block(values, rows, first)[:, :, None].masked_fill(~visible[..., None], 0)
        part = _folded(weights[..., None] * part, -2)
        mixed = torch.where(live[..., None], mixed * keep[..., None] + part, mixed)
        total = torch.where(live, total * keep + _folded(weights, -1), total)
        top = torch.where(live, new_top, top)
    return _finished(mixed, total, top, weighing).masked_fill(~placed[:, None, None, None], 0)


def _finished(mixed: Tensor, total: Tensor, top: Tensor, weighing: _Weighing) -> Tensor:
    if weighing.sinks is None:
        return mixed / total[..., None]
    new_top = torch.maximum(top, weighing.sinks)
    keep = _power(top - new_top)
    total = total * keep + _power(weighing.sinks - new_top)
    return mixed * keep[..., None] / total[..., None]


def _end(keys: Tensor, placed: Tensor, position: Tensor) -> int:
    """Return the end of the visible keys; on a GPU, where that would synchronise, of all keys."""
    if keys.device.type != "cpu":
        return keys.shape[2]
    return int(torch.where(placed, position, -1).max()) + 1


def _block(cache: Tensor, rows: Tensor, first: int) -> Tensor:
    """Return a block of each token's row in fp32, zeros past the end.

    The shape is [tokens, kv heads, BLOCK, size].
    """
    block = cache[:, :, first : first + BLOCK][rows].float()
    return F.pad(block, (0, 0, 0, BLOCK - block.shape[2]))


def _folded(terms: Tensor, axis: int) -> Tensor:
    """Return the sum along an axis, by halves; overwrite the terms."""
    while (size := terms.shape[axis]) > 1:
        half = (size + 1) // 2
        head = terms.narrow(axis, 0, half)
        head.narrow(axis, 0, size - half).add_(terms.narrow(axis, half, size - half))
        terms = head
    return terms.squeeze(axis)


def _power(exponent: Tensor) -> Tensor:
    """Return 2 to the power, 0 below -126."""
    bounded = exponent.clamp(min=-127)
    whole = bounded.round()
    rest = bounded - whole
    result = torch.full_like(rest, POWER[0])
    for factor in POWER[1:]:
        result = result * rest + factor
    result = result * ((whole.int() + 127) << 23).view(torch.float32)
    return result.masked_fill(exponent < -126, 0)


def _tanh(number: Tensor) -> Tensor:
    grown = _power(number.clamp(-15, 15) * (2 * LOG2E))
    return 1 - 2 / (grown + 1)
