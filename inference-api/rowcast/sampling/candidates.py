"""The tokens that may follow each row of a beam search, with the scores that beams compare.

    raw logits ──▶ log-probabilities ──penalties, biases, bans──▶ scores ──▶ the likeliest tokens

Edits are applied to log-probabilities, as transformers' beam search does; the sampler applies them
to logits. A row's candidates depend on its own logits, parameters and past alone, bit for bit.
Knows no beams: `backend.beams` compares the candidates of several rows.
"""

import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor

from rowcast.sampling import mass, order
from rowcast.sampling.logprobs import masses


class Ranked(NamedTuple):
    """A row's candidates, likeliest first; `logprobs` and `top` are the model's own."""

    tokens: tuple[int, ...]
    scores: tuple[float, ...]
    logprobs: tuple[float, ...]
    top: tuple[tuple[int, float], ...]


class Amount(NamedTuple):
    """How many candidates a row needs, and how many of the likeliest tokens it names."""

    candidates: int
    top: int


def rank(
    values: Tensor,
    amounts: Sequence[Amount],
    edit: Callable[[Tensor], Tensor] | None,
    scratch: Tensor,
) -> list[Ranked | None]:
    """Return the candidates of each row; None if its logits failed or no token is left."""
    highest, whole = masses(values, scratch)
    norms = [mass.logarithm(each) if each > 0 else math.nan for each in whole]
    norm = torch.tensor(norms, dtype=torch.float64, device=values.device).unsqueeze(1)

    def logprobs(tokens: Tensor) -> Tensor:
        return values.gather(1, tokens).double() - highest.double() - norm

    scores = values - highest - norm.float()  # also for rows without edits, so that none differs
    if edit is not None:
        scores = edit(scores)
    most = max(amount.candidates for amount in amounts)
    ids = order.leading(scores, min(most, values.shape[1]))
    named = max(1, *(amount.top for amount in amounts))
    likeliest = order.leading(values, min(named, values.shape[1]))
    candidates = _by_row(ids, scores.gather(1, ids), logprobs(ids))
    top = _by_row(likeliest, logprobs(likeliest))
    return [_ranked(*of_row) for of_row in zip(amounts, candidates, top, strict=True)]


def _by_row(*columns: Tensor) -> list[list[tuple[Any, ...]]]:
    """Return the numbers of several tensors [n, count] as n lists of tuples."""
    rows = zip(*(each.tolist() for each in columns), strict=True)
    return [list(zip(*of_row, strict=True)) for of_row in rows]


def _ranked(
    amount: Amount, candidates: Sequence[tuple[Any, ...]], top: Sequence[tuple[Any, ...]]
) -> Ranked | None:
    """Return a row's possible candidates; None if it has none. Scores of a failed row are NaN."""
    left = [each for each in candidates[: amount.candidates] if each[1] > -math.inf]
    if not left:
        return None
    tokens, scores, logprobs = zip(*left, strict=True)
    return Ranked(tokens, scores, logprobs, tuple(top[: amount.top]))
