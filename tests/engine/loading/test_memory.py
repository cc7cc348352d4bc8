"""How much of a KV cache fits, where and with which KV_MEMORY."""

import pytest
import torch

from rowcast.engine.decoding.row_cache import LayerShape
from rowcast.engine.loading import memory as memory_module
from rowcast.engine.loading.memory import CONTEXTS, SHARE, Cache, DoesNotFit, GpuMemory, fit

MIB = 1 << 20
CPU, META = torch.device("cpu"), torch.device("meta")
TOKEN = 2 * 2 * 64 * 2  # bytes, of one layer of 2 heads of 64 in bfloat16
CACHE = Cache({0: LayerShape(2, 64, 64)}, rows=32, context=4096, dtype=torch.bfloat16)


@pytest.fixture
def free(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes that are free; a test may change the number."""
    sizes = [1 << 30]
    monkeypatch.setattr(memory_module, "free_memory", lambda _device: sizes[0])
    return sizes


def test_every_row_may_be_full_where_that_fits(free: list[int]) -> None:
    assert CACHE.size == 32 * 4096 * TOKEN == 64 * MIB
    found = fit("model", 100 * MIB, CACHE, CPU)
    assert (found.context, found.memory.tokens) == (4096, 32 * 4096)
    free[0] = 164 * MIB
    assert fit("model", 100 * MIB, CACHE, CPU) == found


def test_where_it_does_not_rows_share_most_of_what_is_free(free: list[int]) -> None:
    free[0] = 140 * MIB
    found = fit("model", 100 * MIB, CACHE, CPU)
    assert found.memory.tokens == int(SHARE * 40 * MIB) // TOKEN
    assert found.context == 4096
    assert not found.memory.shortens


def test_but_one_row_may_always_be_full(free: list[int]) -> None:
    row = 4096 * TOKEN
    free[0] = 100 * MIB + row
    assert fit("model", 100 * MIB, CACHE, CPU).memory.tokens == 4096
    free[0] -= 1
    with pytest.raises(DoesNotFit) as refused:
        fit("model", 100 * MIB, CACHE, CPU)
    assert str(refused.value) == (
        "model does not fit: weights 100 MiB + KV cache 64 MiB (32 rows x 4096 positions x 256 "
        "values x 2 bytes), of which 2 MiB are the least that serves = 102 MiB, but only 102 MiB "
        "are free. Set a lower CONTEXT_LENGTH or KV_MEMORY, or a smaller DTYPE."
    )


def test_kv_memory_is_what_rows_share(free: list[int]) -> None:
    assert free
    found = fit("model", 0, CACHE, CPU, wanted=10 * MIB)
    assert (found.context, found.memory.tokens) == (4096, 10 * MIB // TOKEN)
    assert fit("model", 0, CACHE, CPU, wanted=1 << 40).memory.tokens == 32 * 4096


def test_kv_memory_below_one_row_shortens_the_context(free: list[int]) -> None:
    assert free
    found = fit("model", 0, CACHE, CPU, wanted=MIB + TOKEN)
    assert found.context == found.memory.tokens == MIB // TOKEN
    assert found.memory.shortens
    with pytest.raises(DoesNotFit, match="KV_MEMORY is 100 bytes, and 32 tokens, the least"):
        fit("model", 0, CACHE, CPU, wanted=100)


def test_kv_memory_that_is_not_free_is_refused(free: list[int]) -> None:
    free[0] = 20 * MIB
    with pytest.raises(DoesNotFit, match="of which 30 MiB are the least that serves = 30 MiB"):
        fit("model", 0, CACHE, CPU, wanted=30 * MIB)


def test_a_device_that_allocates_the_whole_cache_has_no_less(free: list[int]) -> None:
    assert fit("model", 0, CACHE, META).memory.tokens == 32 * 4096
    with pytest.raises(DoesNotFit, match="this device allocates the whole KV cache 64 MiB"):
        fit("model", 0, CACHE, META, wanted=10 * MIB)
    free[0] = 50 * MIB
    with pytest.raises(DoesNotFit, match=r"KV cache 64 MiB .* = 64 MiB, but only 50 MiB are free"):
        fit("model", 0, CACHE, META)


def test_a_gpus_context_is_as_long_as_its_share_allows(free: list[int]) -> None:
    """32 rows of 4,096 tokens take 64 MiB; half of 200 MiB, less 68 MiB, is 32 MiB."""
    free[0] = 200 * MIB
    found = fit("model", 68 * MIB, CACHE, META, gpu=GpuMemory(0.5, fixed=False))
    assert (found.context, found.memory.tokens) == (2048, 32 * 2048)
    assert found.memory.shortens
    free[0] -= 2 * CONTEXTS * TOKEN * 32 - 2
    shorter = fit("model", 68 * MIB, CACHE, META, gpu=GpuMemory(0.5, fixed=False))
    assert shorter.context == 2048 - CONTEXTS
    free[0] = 264 * MIB
    whole = fit("model", 68 * MIB, CACHE, META, gpu=GpuMemory(0.5, fixed=False))
    assert (whole.context, whole.memory.shortens) == (4096, False)


def test_a_context_that_was_chosen_is_refused_with_the_arithmetic(free: list[int]) -> None:
    free[0] = 200 * MIB
    with pytest.raises(DoesNotFit) as refused:
        fit("model", 68 * MIB, CACHE, META, gpu=GpuMemory(0.5))
    assert str(refused.value) == (
        "model does not fit: weights 68 MiB + KV cache 64 MiB (32 rows x 4096 positions x 256 "
        "values x 2 bytes) = 132 MiB, but only 100 MiB may be used (GPU_MEMORY 0.5 of 200 MiB that "
        "are free). Set a lower CONTEXT_LENGTH, a higher GPU_MEMORY, or a smaller DTYPE."
    )


@pytest.mark.parametrize("weights", [97, 200])
def test_a_gpu_without_room_for_the_shortest_context_is_refused(
    free: list[int], weights: int
) -> None:
    free[0] = 200 * MIB
    with pytest.raises(DoesNotFit, match=r"32 rows x 256 positions .* but only 100 MiB may be"):
        fit("model", weights * MIB, CACHE, META, gpu=GpuMemory(0.5, fixed=False))
