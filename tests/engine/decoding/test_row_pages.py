"""Memory of rows: taken when they are written, given back in whole pages, and never another's."""

import mmap
import random
from pathlib import Path

import pytest
import torch
from torch import Tensor

from engine.test_purity import GREEDY, PROMPT, SAMPLED, Said, alone, engine_of, in_company
from engine.tiny_models import save
from rowcast.engine.decoding import row_pages as pages_module
from rowcast.engine.decoding.row_cache import LayerShape, RowCache, cache_bytes, grain_of
from rowcast.engine.decoding.row_pages import HUGE, Pages, grain, huge_everywhere
from rowcast.engine.kernels.attention_torch import TorchAttention
from rowcast.sampling_params import SamplingParams

PAGE = mmap.PAGESIZE
ROWS, HEADS, SIZE = 3, 2, 64
TOKEN = SIZE * 2  # bytes, in bfloat16


def filled(context: int, *, sparse: bool = True) -> tuple[Pages, Tensor]:
    """Return the pages of a tensor in which every value is its place, and a copy of it."""
    pages = Pages(ROWS, HEADS, context, SIZE, torch.bfloat16, sparse=sparse)
    pages.tensor.copy_(torch.randn(ROWS, HEADS, context, SIZE))
    return pages, pages.tensor.clone()


def resident(pages: Pages) -> int:
    """Return the bytes of a tensor's mapping that are in memory."""
    begin, size = pages.tensor.data_ptr(), 0
    here = False
    for line in Path("/proc/self/smaps").read_text().splitlines():
        first = line.split()[0]
        if "-" in first and not first.endswith(":"):
            low, high = (int(each, 16) for each in first.split("-"))
            here = low <= begin < high
        elif here and first == "Rss:":
            size += int(line.split()[1]) * 1024
    return size


@pytest.mark.parametrize("context", [1024, 1000, 33, 1])
@pytest.mark.parametrize("length", [0, 1, 31, 32, 500])
def test_trimming_touches_nothing_but_what_lies_beyond(context: int, length: int) -> None:
    pages, before = filled(context)
    length = min(length, context)
    pages.trim(1, length)
    assert torch.equal(pages.tensor[1, :, :length], before[1, :, :length])
    assert torch.equal(pages.tensor[[0, 2]], before[[0, 2]])
    first = grain(TOKEN) * -(-length // grain(TOKEN))
    assert not pages.tensor[1, :, first:].any(), "whole pages are given back"


def test_a_row_takes_memory_for_the_tokens_that_it_holds_and_gives_it_back() -> None:
    pages = Pages(ROWS, HEADS, 1 << 20, SIZE, torch.bfloat16, sparse=True)
    rows_in_full = ROWS * HEADS * TOKEN << 20
    assert rows_in_full == 768 << 20
    empty = resident(pages)
    pages.tensor[1, :, :1000] = 1.0
    used = resident(pages) - empty
    assert used == HEADS * 1024 * TOKEN, "1,000 tokens in pages of 32"
    pages.trim(1, 100)
    assert resident(pages) - empty == HEADS * 128 * TOKEN
    pages.trim(1, 0)
    assert resident(pages) == empty


def test_heads_begin_with_a_page_of_their_own() -> None:
    pages = Pages(ROWS, HEADS, 1000, SIZE, torch.bfloat16, sparse=True)
    assert pages.tensor.shape == (ROWS, HEADS, 1000, SIZE)
    for row in range(ROWS):
        for head in range(HEADS):
            assert (pages.tensor[row, head].data_ptr() - pages.tensor.data_ptr()) % PAGE == 0


def test_where_all_memory_is_of_huge_pages_only_whole_ones_are_given_back(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pages_module, "huge_everywhere", lambda: True)
    context = 4 * HUGE // TOKEN
    pages, before = filled(context, sparse=False)
    pages.trim(1, 0)
    zeros = (pages.tensor[1].view(-1) == 0).sum().item() * 2
    assert zeros % HUGE == 0
    assert HEADS * 4 * HUGE - HUGE <= zeros <= HEADS * 4 * HUGE
    assert torch.equal(pages.tensor[[0, 2]], before[[0, 2]])
    small, same = filled(100, sparse=False)
    small.trim(1, 0)
    assert torch.equal(small.tensor, same)


@pytest.mark.parametrize(
    ("text", "expected"),
    [("[always] madvise never\n", True), ("always [madvise] never\n", False), (None, False)],
)
def test_the_system_s_policy_is_read(tmp_path: Path, text: str | None, expected: bool) -> None:
    policy = tmp_path / "enabled"
    if text is not None:
        policy.write_text(text)
    assert huge_everywhere(policy) is expected


def test_addresses_may_exceed_the_memory_of_the_machine() -> None:
    pages = Pages(32, 8, 1 << 20, 128, torch.bfloat16, sparse=True)
    assert pages.tensor.nbytes == 32 * 8 * (1 << 20) * 256 == 64 << 30
    pages.tensor[31, 7, -1] = 1.0
    assert pages.tensor[31, 7, -1].sum() == 128


def test_the_grain_is_that_of_the_head_with_the_smallest_tokens() -> None:
    shapes = {0: LayerShape(2, 64, 64), 1: LayerShape(2, 128, 32)}
    assert grain_of(shapes, torch.bfloat16) == PAGE // 64
    assert grain_of({}, torch.bfloat16) == 1
    assert cache_bytes(shapes, 2, 10, torch.bfloat16) == 2 * 10 * 2 * (128 + 160) * 2


def test_elsewhere_than_on_a_cpu_trimming_does_nothing() -> None:
    cache = RowCache(
        {0: LayerShape(1, 8, 8)},
        TorchAttention(),
        rows=2,
        context=16,
        dtype=torch.float32,
        device=torch.device("meta"),
    )
    cache.trim(1, 0)
    assert cache.keys[0].shape == (2, 1, 16, 8)


@pytest.mark.slow
@pytest.mark.parametrize("params", [GREEDY, SAMPLED], ids=["greedy", "sampled"])
@pytest.mark.parametrize("llama", [True, False])
def test_a_reply_has_the_same_bits_in_a_row_that_was_trimmed(
    tmp_path: Path, params: SamplingParams, llama: bool
) -> None:
    engine = engine_of(save("llama", tmp_path), "bfloat16", llama=llama)
    expected: Said = alone(engine, params)
    in_company(engine, params, random.Random(1))
    for row in range(engine.rows):
        engine.trim(row, row % 3)
    assert alone(engine, params) == expected
    assert in_company(engine, params, random.Random(2)) == expected
    engine.trim(0, len(PROMPT))
    assert alone(engine, params) == expected
