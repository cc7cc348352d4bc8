"""The likeliest tokens of a row, in one total order: higher logit first, then smaller token id.

torch does not specify which of several equal values `topk` returns, and half-precision logits are
full of equal values. Here the order is total, so the first k tokens are the same for any larger k
and on any device. They are found through the maxima of blocks: a row's k likeliest tokens lie
within its k best blocks, so one pass over the vocabulary is enough. Knows no parameters and no
noise.
"""

import math

import torch
from torch import Tensor

_NARROWEST, _WIDEST = 32, 128
_LOW_BITS = 0xFFFFFFFF


def best(values: Tensor) -> Tensor:
    """Return the likeliest token of each row, [n, 1]. A NaN counts as likeliest."""
    block = min(_WIDEST, values.shape[1])
    first = _block_maxima(values, block).argmax(-1, keepdim=True)
    ids = _members(first, block).clamp_(max=values.shape[1] - 1)
    return ids.gather(1, values.gather(1, ids).argmax(-1, keepdim=True))


def leading(values: Tensor, count: int) -> Tensor:
    """Return the `count` likeliest tokens of each row, [n, count], likeliest first."""
    size = values.shape[1]
    block = _block_size(size, count)
    maxima = _block_maxima(values, block)
    blocks = torch.arange(maxima.shape[1], device=values.device)
    best_blocks = _first(_keys(maxima, blocks), min(count, maxima.shape[1]))
    ids = _members(best_blocks, block)
    keys = _keys(values.gather(1, ids.clamp(max=size - 1)), ids)
    keys.masked_fill_(ids >= size, torch.iinfo(torch.int64).min)
    return _first(keys, count)


def _block_size(size: int, count: int) -> int:
    """Balance the number of blocks against the tokens within the chosen ones."""
    balanced = 1 << int(math.log2(size / count) / 2)
    return min(size, max(_NARROWEST, min(_WIDEST, balanced)))


def _block_maxima(values: Tensor, block: int) -> Tensor:
    """Return the highest of each `block` neighbouring values; the last block may be smaller."""
    whole = values.shape[1] // block * block
    maxima = values[:, :whole].view(len(values), -1, block).amax(-1)
    if whole == values.shape[1]:
        return maxima
    return torch.cat([maxima, values[:, whole:].amax(-1, keepdim=True)], 1)


def _members(blocks: Tensor, block: int) -> Tensor:
    """Return the token ids of the blocks, side by side."""
    inside = torch.arange(block, device=blocks.device)
    return (blocks.unsqueeze(-1) * block + inside).flatten(1)


def _keys(values: Tensor, ids: Tensor) -> Tensor:
    """Return integers that sort like (value, smaller id), all of them distinct."""
    bits = (values + 0.0).view(torch.int32)  # adding 0.0 makes -0.0 equal to 0.0
    ordered = bits ^ ((bits >> 31) & 0x7FFFFFFF)
    return (ordered.long() << 32) + (_LOW_BITS - ids)


def _first(keys: Tensor, count: int) -> Tensor:
    """Return the ids in the highest keys."""
    return _LOW_BITS - (keys.topk(count, -1).values & _LOW_BITS)
