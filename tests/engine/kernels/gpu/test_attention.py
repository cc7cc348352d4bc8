"""Attention against the textbook formula; a token's bits in any company, piece and road.

Covers `attention_kernels`, `gpu/softmax`.
"""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor

from engine.kernels.attention_cases import Caches, Options, Shape, formula
from engine.kernels.gpu.device import BF16, DEVICE, DTYPES, FP32, differing, error, noise
from rowcast.engine.kernels.gpu import attention
from rowcast.engine.kernels.gpu.attention import TritonAttention

TOLERANCE = {FP32: 4e-6, BF16: 1e-2}  # weights are rounded to the dtype before they mix values
CONTEXT = 600  # a span and a part of one
SHAPE = Shape(3, 1, 24, 16)
Places = Sequence[tuple[int, int]]


def filled(shape: Shape, dtype: torch.dtype, held: Sequence[int], context: int = CONTEXT) -> Caches:
    """Return rows of this many tokens; the rest of the cache is NaN and infinite."""
    caches = Caches(shape, rows=len(held), context=context, dtype=dtype)
    for row, count in enumerate(held):
        keys = noise(count, shape.kv_heads, shape.key_size, dtype=dtype, seed=row)
        values = noise(count, shape.kv_heads, shape.value_size, dtype=dtype, seed=row + 50)
        caches.fill(row, keys.cpu(), values.cpu())
    return caches


def attend(caches: Caches, query: Tensor, places: Places, how: Options | None = None) -> Tensor:
    """Return what our kernels make of caches that were filled on the CPU."""
    how = how or Options()
    row, position = torch.tensor(places, dtype=torch.int32, device=DEVICE).T.contiguous()
    extra = [each if each is None else each.to(DEVICE) for each in (how.sinks, how.bias)]
    return TritonAttention().attend(
        query,
        caches.keys.to(DEVICE),
        caches.values.to(DEVICE),
        row,
        position,
        scale=0.2,
        window=how.window,
        softcap=how.softcap,
        sinks=extra[0],
        bias=extra[1],
    )


@pytest.mark.parametrize("dtype", DTYPES, ids=str)
@pytest.mark.parametrize("name", ["plain", "window", "all"])
def test_it_is_the_formula(dtype: torch.dtype, name: str) -> None:
    torch.manual_seed(1)
    how = SHAPE.options(CONTEXT)[name]
    places = [(0, 5), (0, 6), (-1, 0), (1, 540)]
    caches = filled(SHAPE, dtype, [7, 541])
    query = noise(len(places), SHAPE.heads, SHAPE.key_size, dtype=dtype, seed=9)
    found = attend(caches, query, places, how)
    assert error(found, formula(query.cpu(), caches, places, how).to(DEVICE)) < TOLERANCE[dtype]
    assert not found[2].any()


def test_more_heads_of_a_kv_head_than_a_group_holds() -> None:
    shape = Shape(66, 1, 17, 33)
    caches, query = filled(shape, BF16, [3], context=9), noise(1, 66, 17, seed=9)
    wanted = formula(query.cpu(), caches, [(0, 2)], Options()).to(DEVICE)
    assert error(attend(caches, query, [(0, 2)]), wanted) < TOLERANCE[BF16]


@pytest.mark.parametrize("window", [0, 30])
def test_both_roads_give_the_same_bits(window: int, monkeypatch: pytest.MonkeyPatch) -> None:
    how = Options(window=window, sinks=torch.randn(SHAPE.heads))
    places = [(0, 511), (0, 512), (0, 513), (-1, 0), (1, 2)]
    caches = filled(SHAPE, BF16, [514, 3])
    query = noise(len(places), SHAPE.heads, SHAPE.key_size, seed=9)
    by_span = attend(caches, query, places, how)
    monkeypatch.setattr(attention, "FEWEST", 0)
    assert not differing(attend(caches, query, places, how), by_span)


def test_neither_company_nor_piece_nor_row_changes_a_bit() -> None:
    """A prompt of 80 tokens: as one piece beside others, and one token in another row."""
    caches = filled(SHAPE, BF16, [80, 40, 80], context=100)
    caches.keys[2], caches.values[2] = caches.keys[0], caches.values[0]
    caches.keys[1], caches.values[1] = torch.nan, torch.inf
    piece = [(0, at) for at in range(52, 80)]
    query = noise(len(piece), SHAPE.heads, SHAPE.key_size, seed=9)
    others = noise(3, SHAPE.heads, SHAPE.key_size, seed=10)
    together = attend(caches, torch.cat([others, query]), [(1, 8), (1, 9), (-1, 0), *piece])[3:]
    assert together.isfinite().all()
    for at in (0, 12, 27):
        alone = attend(caches, query[at : at + 1], [(2, 52 + at)])
        assert not differing(together[at : at + 1], alone), at


def test_a_stored_token_that_is_not_finite_reaches_only_those_that_see_it() -> None:
    caches = filled(SHAPE, BF16, [4], context=9)
    keys, values = caches.keys.to(DEVICE), caches.values.to(DEVICE)
    key, value = noise(3, 1, 24), noise(3, 1, 16)
    row, position = torch.tensor([[0, 0, -1], [4, 5, 7]], dtype=torch.int32, device=DEVICE)
    query = noise(2, SHAPE.heads, SHAPE.key_size, seed=9)

    def after(value: Tensor) -> Tensor:
        TritonAttention().store(key, value, keys, values, row, position)
        return TritonAttention().attend(query, keys, values, row[:2], position[:2], scale=0.2)

    sound = after(value)
    assert torch.equal(keys[0, :, 5], key[1])
    assert torch.equal(values[0, :, 5], value[1])
    assert keys[0, :, 6:].isnan().all()  # nothing else was written
    value[1, :, 3] = torch.inf
    spoilt = after(value)
    assert not differing(spoilt[:1], sound[:1])
    assert spoilt[1].isnan().all()


def test_no_tokens_no_output() -> None:
    caches = filled(SHAPE, FP32, [1])
    nowhere = torch.empty(0, dtype=torch.int32, device=DEVICE)
    query, cached = noise(0, 3, 24, dtype=FP32), (caches.keys.to(DEVICE), caches.values.to(DEVICE))
    found = TritonAttention().attend(query, *cached, nowhere, nowhere, scale=1.0)
    assert found.shape == (0, 3, 16)


def test_it_refuses_a_cache_that_it_would_misread() -> None:
    cache, row = noise(1, 1, 8, 48)[..., :24], torch.zeros(1, dtype=torch.int32, device=DEVICE)
    with pytest.raises(ValueError, match="cache"):
        TritonAttention().attend(noise(1, 3, 24), cache, cache, row, row, scale=1.0)
    with pytest.raises(ValueError, match="cache"):
        TritonAttention().store(noise(1, 1, 24), noise(1, 1, 24), cache, cache, row, row)
