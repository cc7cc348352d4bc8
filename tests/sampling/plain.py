"""A second implementation of the sampling rules: one row, plain loops, no tensors.

`distribution()` returns the exact probability of every token that may be drawn. `chi_square()`
tests whether counts agree with it.
"""

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from statistics import NormalDist

from rowcast.sampling_params import SamplingParams


def distribution(
    logits: Sequence[float],
    params: SamplingParams,
    *,
    prompt: Sequence[int] = (),
    reply: Sequence[int] = (),
    position: int = 0,
    end_tokens: Sequence[int] = (),
) -> dict[int, float]:
    """Return the probability of every token whose probability is not zero."""
    edited = _penalised(list(logits), params, prompt, reply)
    _mask(edited, params, position, end_tokens)
    ranked = sorted(
        (token for token, logit in enumerate(edited) if logit > -math.inf),
        key=lambda token: (-edited[token], token),
    )
    if params.temperature == 0:
        return {ranked[0]: 1.0}
    if params.top_k > 0:
        ranked = ranked[: params.top_k]
    top = edited[ranked[0]]
    weights = {token: math.exp((edited[token] - top) / params.temperature) for token in ranked}
    return _normal(_at_least(_nucleus(_normal(weights), params.top_p), params.min_p))


def _penalised(
    logits: list[float], params: SamplingParams, prompt: Sequence[int], reply: Sequence[int]
) -> list[float]:
    for token in {*prompt, *reply}:
        if logits[token] < 0:
            logits[token] *= params.repetition_penalty
        else:
            logits[token] /= params.repetition_penalty
    for token in reply:
        logits[token] -= params.frequency_penalty
    for token in set(reply):
        logits[token] -= params.presence_penalty
    return logits


def _mask(
    logits: list[float], params: SamplingParams, position: int, end_tokens: Sequence[int]
) -> None:
    for token, bias in params.logit_bias:
        logits[token] += bias
    for token in range(len(logits)):
        early = position < params.min_tokens
        ends = token in end_tokens
        stops = ends or token in params.stop_token_ids
        refused = bool(params.allowed_tokens) and token not in params.allowed_tokens
        banned = token in params.banned_tokens
        if refused or banned or (ends and params.ignore_eos) or (stops and early):
            logits[token] = -math.inf


def _nucleus(probabilities: Mapping[int, float], top_p: float) -> dict[int, float]:
    """Return the likeliest tokens up to the one that reaches `top_p`."""
    kept: dict[int, float] = {}
    for token, probability in probabilities.items():
        if kept and math.fsum(kept.values()) >= top_p:
            break
        kept[token] = probability
    return kept


def _at_least(probabilities: Mapping[int, float], min_p: float) -> dict[int, float]:
    floor = min_p * max(probabilities.values())
    return {token: p for token, p in probabilities.items() if p >= floor}


def _normal(weights: Mapping[int, float]) -> dict[int, float]:
    whole = math.fsum(weights.values())
    return {token: weight / whole for token, weight in weights.items()}


def agrees(counts: Mapping[int, int], expected: Mapping[int, float], alpha: float = 1e-4) -> bool:
    """True if draws are distributed as expected, by a chi-square test; none may be foreign."""
    if not counts.keys() <= expected.keys():
        return False
    drawn = sum(counts.values())
    cells = _cells(counts, {token: p * drawn for token, p in expected.items()})
    statistic = math.fsum((seen - mean) ** 2 / mean for seen, mean in cells)
    return len(cells) < 2 or statistic < _quantile(1 - alpha, len(cells) - 1)


def _cells(counts: Mapping[int, int], means: Mapping[int, float]) -> list[tuple[float, float]]:
    """Return (seen, expected) pairs; tokens expected fewer than eight times share one pair."""
    cells = [(float(counts.get(token, 0)), mean) for token, mean in means.items() if mean >= 8]
    rare = [token for token, mean in means.items() if mean < 8]
    mean = math.fsum(means[token] for token in rare)
    if mean >= 8:
        cells.append((float(sum(counts.get(token, 0) for token in rare)), mean))
    return cells


def _quantile(probability: float, freedom: int) -> float:
    """Return a quantile of the chi-square distribution, by Wilson and Hilferty's cube."""
    spread = 2 / (9 * freedom)
    z = NormalDist().inv_cdf(probability)
    return float(freedom * (1 - spread + z * math.sqrt(spread)) ** 3)


def counted(tokens: Sequence[int]) -> Counter[int]:
    return Counter(tokens)
