"""`Sampler`: one new token for each row that draws, and its log-probabilities.

    logits ─┬─ log-probabilities of the model's own distribution
            └─ penalties ─ bias, bans, allow-list, min_tokens ─ temperature ─ top_k ─ top_p ─ min_p
               ─ draw by the counter (seed, choice, position)

A row's choice depends on its own logits, parameters, tokens, seed, choice and position, bit for
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
from rowcast.sampling.chooser import FAILED, Chooser
from rowcast.sampling.draws import Ask, Kind, Way, draw_open, draw_ranked, way
from rowcast.sampling.edits import Edits
from rowcast.sampling.history import History, penalises
from rowcast.sampling.logprobs import Report, report
from rowcast.sampling_params import SamplingParams


@dataclass(frozen=True, slots=True)
class Choice:
    """The next token of a row, with log-probabilities if its parameters request them.

    `failed`: the row's logits hold a NaN or an infinity, or its parameters left no token to choose.
    """

    token: int
    logprob: float | None = None
    top: tuple[tuple[int, float], ...] | None = None
    failed: bool = False


_Seat = tuple[SamplingParams, int, Kind]


class Sampler:
    """Chooses tokens for a fixed number of rows."""

    def __init__(
        self,
        rows: int,
        vocabulary: int,
        end_tokens: frozenset[int],
        device: torch.device,
        chooser: Chooser | None = None,  # a faster way to the same tokens
    ) -> None:
        self._vocabulary = vocabulary
        self._chooser = chooser
        self._device = device
        self._history = History(rows, vocabulary, device)
        self._edits = Edits(rows, vocabulary, end_tokens, device)
        self._table = mass.power_table(device)
        self._rooms: dict[str, Tensor] = {}
        self._seats: list[_Seat | None] = [None] * rows

    def seat(self, row: int, params: SamplingParams, seed: int, choice: int) -> None:
        """Start a new reply in a row."""
        self._history.seat(row, params)
        edited = self._edits.seat(row, params) or penalises(params)
        kind = Kind(way(params, self._vocabulary), edited)
        stream = noise.stream(seed, choice)
        self._seats[row] = (params, stream, kind)
        if self._chooser is not None:
            self._chooser.seat(row, params, kind.way, stream)

    def observe(self, row: int, tokens: Sequence[int], *, reply: bool) -> None:
        """Note tokens that the row is fed, of its prompt or its reply; each token once."""
        self._history.observe(row, tokens, reply=reply)

    def refuse(self, row: int, refused: Tensor) -> None:
        """Set the tokens that the row's grammar does not allow next: flags [vocabulary]."""
        self._edits.refuse(row, refused)

    def choose(self, logits: Tensor, rows: Sequence[int], positions: Sequence[int]) -> list[Choice]:
        """Return one new token per row of `rows`; `positions` are its indexes in the replies."""
        if not rows:
            return []
        asks = [self._ask(row, at) for row, at in zip(rows, positions, strict=True)]
        chooser = self._chooser
        if chooser is not None and chooser.takes(logits):
            self._tell_edits(chooser, asks)
            tokens = chooser.choose(logits, rows, positions)
        else:
            tokens = self._tokens(self._single(logits), asks)
        if any(ask.params.logprobs for ask in asks):
            reports = self._reports(self._single(logits), asks, tokens)
            return [_choice(*of_row) for of_row in zip(tokens, reports, strict=True)]
        return [_choice(token, None) for token in tokens]

    def _tell_edits(self, chooser: Chooser, asks: Sequence[Ask]) -> None:
        for ask in asks:
            if ask.kind.edited:
                chooser.edit(ask.row, self._history.past(ask.row), self._edits.changes(ask.row))

    def _tokens(self, values: Tensor, asks: Sequence[Ask]) -> list[int]:
        """Return a token per row; FAILED if a row's logits, raw or edited, are not finite."""
        drawn = values.new_empty(len(asks), 2, dtype=torch.float64)
        for kind, places in _groups(asks).items():
            group = [asks[place] for place in places]
            own = self._edited(values, places, group) if kind.edited else self._at(values, places)
            tokens = self._draw(kind.way, own, group)
            of_group = torch.cat([tokens.double(), own.gather(1, tokens).double()], 1)
            if len(places) == len(asks):
                drawn = of_group
            else:
                drawn[torch.tensor(places, device=self._device)] = of_group
        bounds = torch.stack([values.amax(-1), values.amin(-1)], 1)
        found = torch.cat([drawn, bounds.double()], 1).tolist()
        return [
            int(token) if all(map(math.isfinite, numbers)) else FAILED for token, *numbers in found
        ]

    def _reports(
        self, values: Tensor, asks: Sequence[Ask], tokens: Sequence[int]
    ) -> Sequence[Report | None]:
        """Return log-probabilities for the rows whose parameters request them."""
        reports: list[Report | None] = [None] * len(asks)
        places = [place for place, ask in enumerate(asks) if ask.params.logprobs]
        counts = [asks[place].params.top_logprobs for place in places]
        room = self._room("weights", len(places), mass.padded(self._vocabulary))
        # A failed row reports nothing, whatever token stands for it.
        chosen = torch.tensor([[max(0, tokens[place])] for place in places], device=self._device)
        found = report(self._at(values, places), chosen, counts, room)
        for place, of_row in zip(places, found, strict=True):
            reports[place] = of_row
        return reports

    def _ask(self, row: int, position: int) -> Ask:
        seat = self._seats[row]
        if seat is None:
            raise ValueError(f"nobody is seated in row {row}")
        return Ask(row, position, *seat)

    def _single(self, logits: Tensor) -> Tensor:
        """Return the logits in single precision; half-precision reductions are far slower."""
        if logits.dtype == torch.float32:
            return logits.contiguous()
        return self._room("single", logits.shape[0], self._vocabulary).copy_(logits)

    def _at(self, values: Tensor, places: list[int]) -> Tensor:
        if len(places) == len(values):
            return values
        return values[torch.tensor(places, device=self._device)]

    def _edited(self, values: Tensor, places: list[int], asks: Sequence[Ask]) -> Tensor:
        """Return a copy of the rows' logits with their edits."""
        count, size = len(places), self._vocabulary
        flat = self._room("edited", 1, count * size + 1).squeeze(0)
        own = flat[:-1].view(count, size)
        torch.index_select(values, 0, torch.tensor(places, device=self._device), out=own)
        rows = [ask.row for ask in asks]
        self._history.penalise(flat, rows)
        self._edits.apply(own, rows, [ask.position for ask in asks])
        return own

    def _draw(self, way: Way, values: Tensor, asks: Sequence[Ask]) -> Tensor:
        if way == "greedy":
            return order.best(values)
        if way == "open":
            room = self._room("weights", len(asks), mass.padded(self._vocabulary))
            return draw_open(values, asks, room)
        return draw_ranked(values, asks, self._table)

    def _room(self, name: str, rows: int, size: int) -> Tensor:
        """Return a tensor reused in every step: allocating megabytes costs page faults."""
        room = self._rooms.get(name)
        if room is None or room.numel() < rows * size:
            room = self._rooms[name] = torch.empty(rows * size, device=self._device)
        return room[: rows * size].view(rows, size)


def _groups(asks: Sequence[Ask]) -> dict[Kind, list[int]]:
    """Return the places of the rows that are computed together."""
    groups: dict[Kind, list[int]] = defaultdict(list)
    for place, ask in enumerate(asks):
        groups[ask.kind].append(place)
    return groups


def _choice(token: int, report: Report | None) -> Choice:
    if token == FAILED:
        return Choice(FAILED, failed=True)
    if report is None:
        return Choice(token)
    return Choice(token, report.logprob, report.top)
