"""Finds the widths whose arithmetic agrees to the bit on this machine.

Linear layers over w token slots may use another kernel, and so other roundings, for another w. The
probe runs the same few tokens, in the first slots and in the last, at every candidate width and
keeps the widths that give the same bits as the widest. At worst that is only the widest: then every
step runs at one width, and the arithmetic is still fixed.
"""

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

_log = logging.getLogger("rowcast.probe")

CANDIDATES = (1, 2, 4, 8, 16, 32, 64, 128, 256)


@dataclass(frozen=True, slots=True)
class Widths:
    """The widths that a step may run at, in ascending order."""

    safe: tuple[int, ...]

    @property
    def widest(self) -> int:
        return self.safe[-1]

    def fitting(self, tokens: int) -> int:
        """Return the narrowest width with room for this many tokens."""
        return next(width for width in self.safe if width >= tokens)


def probe(
    forward: Callable[[Sequence[int], int], Tensor],
    vocabulary: int,
    widest: int,
) -> Widths:
    """Measure which widths agree.

    `forward(tokens, at)` computes one step of `len(tokens)` slots and returns a row of numbers for
    each. `at` is the first token's number in the sample: a token's row and position follow from its
    number, so that the same token meets the same past in every step.
    """
    tried = candidates(widest)
    sample = _tokens(widest, vocabulary)
    reference = forward(sample, 0)
    safe = tuple(width for width in tried if _agrees(forward, sample, reference, width))
    _log.info("widths=%s of=%s", ",".join(map(str, safe)), ",".join(map(str, tried)))
    return Widths(safe)


def candidates(widest: int) -> tuple[int, ...]:
    """Return the widths to try."""
    return (*(width for width in CANDIDATES if width < widest), widest)


def _agrees(
    forward: Callable[[Sequence[int], int], Tensor],
    sample: Sequence[int],
    reference: Tensor,
    width: int,
) -> bool:
    """True if the first and the last tokens of the sample give the same bits at this width."""
    if width == len(sample):
        return True
    starts = {0, len(sample) - width}
    return all(
        torch.equal(forward(sample[at : at + width], at), reference[at : at + width])
        for at in starts
    )


def _tokens(count: int, vocabulary: int) -> list[int]:
    """Return arbitrary tokens, the same at every start."""
    return [(7919 * (at + 1)) % vocabulary for at in range(count)]
