"""Log-probabilities of the model's own distribution, before penalties and temperature.

In: raw logits and the tokens chosen. Out, for each row: the chosen token's log-probability, and
the likeliest tokens with theirs. The mass is summed exactly (`mass`), the logarithm taken on the
host, so the bits do not depend on other rows. Knows no parameters except the number of tokens.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rowcast.sampling import mass, order


@dataclass(frozen=True, slots=True)
class Report:
    """The log-probabilities for a row; `top` is likeliest first."""

    logprob: float
    top: tuple[tuple[int, float], ...] | None


def report(
    values: Tensor, tokens: Tensor, counts: Sequence[int], scratch: Tensor
) -> list[Report | None]:
    """Return a report per row with its count of likeliest tokens; None if its logits failed."""
    highest, whole = masses(values, scratch)
    ids = torch.cat([tokens, order.leading(values, min(max(1, *counts), values.shape[1]))], 1)
    logits = values.gather(1, ids).double() - highest.double()
    found = zip(whole, ids.tolist(), logits.tolist(), counts, strict=True)
    return [report_of(*of_row) for of_row in found]


def masses(values: Tensor, scratch: Tensor) -> tuple[Tensor, list[int]]:
    """Return each row's highest logit, [n, 1], and its mass relative to it; 0 if it failed."""
    highest = values.amax(-1, keepdim=True)
    whole = mass.total(mass.folded(mass.weigh(values, highest, None, scratch)))
    return highest, whole.squeeze(1).tolist()


def report_of(whole: int, ids: Sequence[int], logits: Sequence[float], count: int) -> Report | None:
    """Return the report of a row; None if it failed: if its mass is not positive.

    `ids` are the chosen token and the likeliest ones; `logits` are relative to the highest.
    """
    if whole <= 0:
        return None
    norm = mass.logarithm(whole)
    pairs = [(token, logit - norm) for token, logit in zip(ids, logits, strict=True)]
    return Report(pairs[0][1], tuple(pairs[1 : count + 1]) if count else None)
