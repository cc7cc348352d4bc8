"""`Sampler`: one new token for each row that draws, and its log-probabilities.

    logits ─┬─ log-probabilities of the model's own distribution
            └─ penalties ─ bias, bans, allow-list, min_tokens ─ temperature ─ top_k ─ top_p ─ min_p
               ─ draw by the counter (seed, choice, position)

A row's token depends on its own logits, parameters, tokens, seed, choice and position, bit for
bit: rows are grouped by their own parameters only, and no sum has an order that other rows could
change. The logits are read, never written. Knows no model, no cache and no text.
"""

import math
from collections import defaultdict
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from rowcast.sampling import mass, noise, order
from rowcast.sampling.candidates import Amount, Ranked, rank
from rowcast.sampling.draws import Draw, Method, SamplingGroup, draw_open, draw_ranked, method
from rowcast.sampling.edits import Edits
from rowcast.sampling.history import History, penalises
from rowcast.sampling.logprobs import Report, report
from rowcast.sampling.token_sampler import FAILED, TokenSampler
from rowcast.sampling_params import SamplingParams


@dataclass(frozen=True, slots=True)
class SampledToken:
    """The next token of a row, with log-probabilities if its parameters request them.

    `failed`: the row's logits hold a NaN or an infinity, or its parameters left no token to choose.
    """

    token: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] | None = None
    failed: bool = False


_Seat = tuple[SamplingParams, int, SamplingGroup]


class Sampler:
    """Chooses tokens for a fixed number of rows."""

    def __init__(
        self,
        rows: int,
        vocabulary: int,
        end_tokens: frozenset[int],
        device: torch.device,
        token_sampler: TokenSampler | None = None,  # a faster way to the same tokens
    ) -> None:
        self._vocabulary = vocabulary
        self._token_sampler = token_sampler
        self._device = device
        self._history = History(rows, vocabulary, device)
        self._edits = Edits(rows, vocabulary, end_tokens, device)
        self._table = mass.power_table(device)
        self._buffers: dict[str, Tensor] = {}
        self._seats: list[_Seat | None] = [None] * rows
        self._limited: set[int] = set()  # rows with flags of a grammar
        self._flagged: set[int] = set()  # those whose flags are for the next draw

    def seat(self, row: int, params: SamplingParams, seed: int, choice: int) -> None:
        """Start a new reply in a row."""
        self._limited.discard(row)
        self._flagged.discard(row)
        self._history.seat(row, params)
        edited = self._edits.seat(row, params) or penalises(params)
        group = SamplingGroup(method(params, self._vocabulary), edited)
        stream = noise.stream(seed, choice)
        self._seats[row] = (params, stream, group)
        if self._token_sampler is not None:
            self._token_sampler.seat(row, params, group.method, stream)

    def observe(self, row: int, tokens: Sequence[int], *, reply: bool) -> None:
        """Note tokens that the row is fed, of its prompt or its reply; each token once."""
        self._history.observe(row, tokens, reply=reply)

    def refuse(self, row: int, refused: Tensor) -> None:
        """Set the tokens that the row's grammar does not allow next: flags [vocabulary]."""
        self._edits.refuse(row, refused)
        self._limited.add(row)
        self._flagged.add(row)

    def choose(
        self, logits: Tensor, rows: Sequence[int], positions: Sequence[int]
    ) -> list[SampledToken]:
        """Return one new token per row of `rows`; `positions` are its indexes in the replies."""
        if not rows:
            return []
        if self._limited:
            self._lift(rows)
        draws = [self._draw_of(row, at) for row, at in zip(rows, positions, strict=True)]
        token_sampler = self._token_sampler
        if token_sampler is not None and token_sampler.takes(logits):
            self._pass_edits(token_sampler, draws)
            tokens = token_sampler.choose(logits, rows, positions)
        else:
            tokens = self._tokens(self._single(logits), draws)
        if any(draw.params.logprobs for draw in draws):
            reports = self._reports(logits, draws, tokens)
            return [_sampled_token(*of_row) for of_row in zip(tokens, reports, strict=True)]
        return [_sampled_token(token, None) for token in tokens]

    def rank(
        self,
        logits: Tensor,
        rows: Sequence[int],
        positions: Sequence[int],
        amounts: Sequence[Amount],
    ) -> list[Ranked | None]:
        """Return candidates for rows of beam searches instead of a token; None if a row failed."""
        draws = [self._draw_of(row, at) for row, at in zip(rows, positions, strict=True)]
        places = list(range(len(draws)))
        edited = any(draw.group.edited for draw in draws)
        return rank(
            self._single(logits),
            amounts,
            (lambda logprobs: self._edited(logprobs, places, draws)) if edited else None,
            self._buffer("weights", len(draws), mass.padded(self._vocabulary)),
        )

    def forget(self, row: int) -> None:
        """Forget the tokens that a row was fed."""
        self._history.forget(row)

    def _pass_edits(self, token_sampler: TokenSampler, draws: Sequence[Draw]) -> None:
        for draw in draws:
            if draw.group.edited:
                token_sampler.edit(
                    draw.row, self._history.past(draw.row), self._edits.changes(draw.row)
                )

    def _tokens(self, values: Tensor, draws: Sequence[Draw]) -> list[int]:
        """Return a token per row; FAILED if a row's logits, raw or edited, are not finite."""
        drawn = values.new_empty(len(draws), 2, dtype=torch.float64)
        for group, places in _groups(draws).items():
            own_draws = [draws[place] for place in places]
            own = (
                self._edited(values, places, own_draws)
                if group.edited
                else self._at(values, places)
            )
            tokens = self._draw(group.method, own, own_draws)
            of_group = torch.cat([tokens.double(), own.gather(1, tokens).double()], 1)
            if len(places) == len(draws):
                drawn = of_group
            else:
                drawn[torch.tensor(places, device=self._device)] = of_group
        bounds = torch.stack([values.amax(-1), values.amin(-1)], 1)
        found = torch.cat([drawn, bounds.double()], 1).tolist()
        return [
            int(token) if all(map(math.isfinite, numbers)) else FAILED for token, *numbers in found
        ]

    def _reports(
        self, logits: Tensor, draws: Sequence[Draw], tokens: Sequence[int]
    ) -> Sequence[Report | None]:
        """Return log-probabilities for the rows whose parameters request them."""
        reports: list[Report | None] = [None] * len(draws)
        places = [place for place, draw in enumerate(draws) if draw.params.logprobs]
        counts = [draws[place].params.top_logprobs for place in places]
        # A failed row reports nothing, whatever token stands for it.
        chosen = [max(0, tokens[place]) for place in places]
        for place, of_row in zip(places, self._report(logits, places, chosen, counts), strict=True):
            reports[place] = of_row
        return reports

    def _report(
        self, logits: Tensor, places: list[int], tokens: Sequence[int], counts: Sequence[int]
    ) -> list[Report | None]:
        token_sampler = self._token_sampler
        if token_sampler is not None and token_sampler.takes(logits):
            return token_sampler.report(logits, places, tokens, counts)
        buffer = self._buffer("weights", len(places), mass.padded(self._vocabulary))
        chosen = torch.tensor(tokens, device=self._device).unsqueeze(1)
        return report(self._at(self._single(logits), places), chosen, counts, buffer)

    def _draw_of(self, row: int, position: int) -> Draw:
        seat = self._seats[row]
        if seat is None:
            raise ValueError(f"row {row} is not seated")
        params, stream, group = seat
        if row in self._limited:
            group = SamplingGroup(group.method, edited=True)
        return Draw(row, position, params, stream, group)

    def _lift(self, rows: Sequence[int]) -> None:
        """Remove the flags of those rows whose grammars set none for this draw."""
        for row in self._limited.intersection(rows).difference(self._flagged):
            self._limited.remove(row)
            self._edits.lift(row)
            seat = self._seats[row]
            if self._token_sampler is not None and seat is not None:
                params, stream, group = seat
                self._token_sampler.seat(row, params, group.method, stream)
        self._flagged.difference_update(rows)

    def _single(self, logits: Tensor) -> Tensor:
        """Return the logits in single precision; half-precision reductions are far slower."""
        if logits.dtype == torch.float32:
            return logits.contiguous()
        return self._buffer("single", logits.shape[0], self._vocabulary).copy_(logits)

    def _at(self, values: Tensor, places: list[int]) -> Tensor:
        if len(places) == len(values):
            return values
        return values[torch.tensor(places, device=self._device)]

    def _edited(self, values: Tensor, places: list[int], draws: Sequence[Draw]) -> Tensor:
        """Return a copy of the rows' logits with their edits."""
        count, size = len(places), self._vocabulary
        flat = self._buffer("edited", 1, count * size + 1).squeeze(0)
        own = flat[:-1].view(count, size)
        torch.index_select(values, 0, torch.tensor(places, device=self._device), out=own)
        rows = [draw.row for draw in draws]
        self._history.penalise(flat, rows)
        self._edits.apply(own, rows, [draw.position for draw in draws])
        return own

    def _draw(self, method: Method, values: Tensor, draws: Sequence[Draw]) -> Tensor:
        if method == "greedy":
            return order.best(values)
        if method == "open":
            buffer = self._buffer("weights", len(draws), mass.padded(self._vocabulary))
            return draw_open(values, draws, buffer)
        return draw_ranked(values, draws, self._table)

    def _buffer(self, name: str, rows: int, size: int) -> Tensor:
        """Return a tensor reused in every step: allocating megabytes costs page faults."""
        buffer = self._buffers.get(name)
        if buffer is None or buffer.numel() < rows * size:
            buffer = self._buffers[name] = torch.empty(rows * size, device=self._device)
        return buffer[: rows * size].view(rows, size)


def _groups(draws: Sequence[Draw]) -> dict[SamplingGroup, list[int]]:
    """Return the places of the rows that are computed together."""
    groups: dict[SamplingGroup, list[int]] = defaultdict(list)
    for place, draw in enumerate(draws):
        groups[draw.group].append(place)
    return groups


def _sampled_token(token: int, report: Report | None) -> SampledToken:
    if token == FAILED:
        return SampledToken(FAILED, failed=True)
    if report is None:
        return SampledToken(token)
    return SampledToken(token, report.logprob, report.top)
