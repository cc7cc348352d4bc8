"""Samplers with seated rows, logits to draw from, and many draws in one call."""

from collections.abc import Sequence

import torch
from torch import Tensor

from rowcast.sampling.sampler import SampledToken, Sampler
from rowcast.sampling_params import SamplingParams

CPU = torch.device("cpu")
END = 5


def logits_of(size: int, seed: int = 0, *, scale: float = 2.0, rows: int = 1) -> Tensor:
    """Return logits like a model's, rounded to bf16, so that many are equal."""
    generator = torch.Generator().manual_seed(seed)
    return (scale * torch.randn(rows, size, generator=generator)).bfloat16().float()


def seated(
    params: SamplingParams,
    size: int,
    *,
    seed: int = 1,
    choice: int = 0,
    prompt: Sequence[int] = (),
    reply: Sequence[int] = (),
) -> Sampler:
    """Return a sampler whose row 0 is seated."""
    sampler = Sampler(1, size, frozenset({END}), CPU)
    sampler.seat(0, params, seed, choice)
    sampler.observe(0, prompt, reply=False)
    sampler.observe(0, reply, reply=True)
    return sampler


def chosen(sampler: Sampler, logits: Tensor, positions: Sequence[int]) -> list[SampledToken]:
    """Return row 0's choices at many positions, from the same logits."""
    many = logits.expand(len(positions), -1)
    return sampler.choose(many, [0] * len(positions), positions)


def drawn(sampler: Sampler, logits: Tensor, positions: Sequence[int]) -> list[int]:
    """Return the tokens of `chosen`."""
    return [choice.token for choice in chosen(sampler, logits, positions)]
