"""Three methods from logits to one token per row; the row's own parameters decide which is used.

    greedy   the likeliest token
    ranked   top_k: the k likeliest in order, then top_p and min_p among them
    open     no top_k: a draw from the whole vocabulary, repeated until it is within top_p

`open` needs no sorting: a token is within top_p if the mass that ranks before it is below top_p.
Otherwise it is refused together with all that ranks after it, and the draw is repeated: accepted
tokens are distributed like the nucleus, after at most about 1 / top_p draws.

Temperature comes first, then top_k, top_p and min_p. Each row's token depends on its own logits,
parameters and noise alone: compare, add and multiply element by element; sum in integers only.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, NamedTuple

import torch
from torch import Tensor

from rowcast.sampling import mass, noise, order
from rowcast.sampling_params import SamplingParams

GREEDY_BELOW = 1e-5  # division by a lower temperature would overflow
FEW = 64
_RANKED_UNIT = 2.0**44


Method = Literal["greedy", "few", "many", "open"]


class SamplingGroup(NamedTuple):
    """The parameters that rows are grouped by: a group is computed together."""

    method: Method
    edited: bool  # its logits are edited before the draw


class Draw(NamedTuple):
    """A row that needs a token: its position in the reply, its parameters and its noise."""

    row: int
    position: int
    params: SamplingParams
    stream: int
    group: SamplingGroup

    def noise(self, *lanes: int) -> tuple[float, ...]:
        key = noise.at(self.stream, self.position)
        return tuple([noise.uniform(key, lane) for lane in lanes])


def method(params: SamplingParams, vocabulary: int) -> Method:
    """Return how a row's token is drawn."""
    if params.temperature < GREEDY_BELOW or params.top_k == 1:
        return "greedy"
    if not 0 < params.top_k < vocabulary:
        return "open"
    return "few" if params.top_k <= FEW else "many"


def draw_ranked(values: Tensor, draws: Sequence[Draw], table: Tensor) -> Tensor:
    """Draw a token for each row, [n, 1], among the row's `top_k` likeliest."""
    ids = order.leading(values, max(draw.params.top_k for draw in draws))
    parameters = [(*_shape(draw.params), draw.params.top_k, *draw.noise(0)) for draw in draws]
    temperature, top_p, min_p, top_k, chance = _columns(parameters, values.device)
    likely = values.gather(1, ids).double()
    weights = mass.exponential((likely - likely[:, :1]) / temperature, table)
    rank = torch.arange(ids.shape[1], device=values.device)
    units = (weights * _RANKED_UNIT).long().masked_fill_(rank >= top_k, 0)
    before = units.cumsum(-1) - units
    within = (before < top_p * mass.total(units)) | (before == 0)
    units.masked_fill_(~within | (weights < min_p), 0)
    return ids.gather(1, mass.pick(units, chance))


def draw_open(values: Tensor, draws: Sequence[Draw], scratch: Tensor) -> Tensor:
    """Draw a token for each row, [n, 1], from the whole vocabulary; `scratch` is [n, padded]."""
    temperature, _, min_p = _columns([_shape(draw.params) for draw in draws], values.device)
    top = values.amax(-1, keepdim=True)
    weights = mass.weigh(values, top, temperature.float(), scratch)
    sums = mass.folded(weights)
    whole = mass.total(sums)
    if any(draw.params.min_p > 0 for draw in draws):
        weights.masked_fill_(weights < min_p.float().unsqueeze(-1), 0)
        sums = mass.folded(weights)
    tokens = mass.draw(weights, sums, _pair(draws, 0, values.device))
    tokens.clamp_(max=values.shape[1] - 1)  # only a failed row could be beyond
    limited = [place for place, draw in enumerate(draws) if draw.params.top_p < 1]
    if limited:
        _Nucleus(values, weights, whole, draws).hold(tokens, limited)
    return tokens


@dataclass(frozen=True, slots=True)
class _Nucleus:
    """Redraws rows whose token is not within top_p; `whole` is the mass before min_p."""

    values: Tensor
    weights: Tensor
    whole: Tensor
    draws: Sequence[Draw]

    def hold(self, tokens: Tensor, places: list[int]) -> None:
        """Replace tokens of the rows at `places` until all are within their top_p."""
        values, weights = self._at(places)
        lane = 2
        while places:
            at = torch.tensor(places, device=values.device)
            weights, sums = _before(values, weights, tokens[at])
            refused = self._refused(sums, places)
            if not refused:
                return
            places = [places[index] for index in refused]
            again = torch.tensor(refused, device=values.device)
            values, weights, sums = values[again], weights[again], sums[again]
            pairs = _pair([self.draws[place] for place in places], lane, values.device)
            tokens[at[again]] = mass.draw(weights, sums, pairs)
            lane += 2

    def _at(self, places: list[int]) -> tuple[Tensor, Tensor]:
        if len(places) == len(self.draws):
            return self.values, self.weights
        at = torch.tensor(places, device=self.values.device)
        return self.values[at], self.weights[at]

    def _refused(self, sums: Tensor, places: list[int]) -> list[int]:
        """Return indexes of the places where the mass before the token has reached top_p."""
        (top_p,) = _columns([(self.draws[place].params.top_p,) for place in places], sums.device)
        whole = self.whole[torch.tensor(places, device=sums.device)]
        before = mass.total(sums)
        # The likeliest token has no mass before it; nor does any token of a failed row, whose
        # weights are zeros and NaN, which never sum to a mass above 0.
        refused = (before >= top_p * whole) & (before > 0)
        return [index for index, again in enumerate(refused.squeeze(1).tolist()) if again]


def _before(values: Tensor, weights: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
    """Return the weights that rank before each row's token, the rest 0; and their sums."""
    own = values.gather(1, tokens)
    ids = torch.arange(values.shape[1], device=values.device)
    behind = (values < own).logical_or_((values == own).logical_and_(ids >= tokens))
    earlier = weights.flatten(1).clone()
    earlier[:, : values.shape[1]].masked_fill_(behind, 0)
    earlier = earlier.view(weights.shape)
    return earlier, mass.folded(earlier)


def _shape(params: SamplingParams) -> tuple[float, float, float]:
    return params.temperature, params.top_p, min(params.min_p, 1.0)


def _pair(draws: Sequence[Draw], lane: int, device: torch.device) -> Tensor:
    """Return two noise numbers for each row, [n, 2]."""
    pairs = [draw.noise(lane, lane + 1) for draw in draws]
    return torch.tensor(pairs, dtype=torch.float64, device=device)


def _columns(rows: Sequence[tuple[float, ...]], device: torch.device) -> tuple[Tensor, ...]:
    """Return the rows' parameters as one [n, 1] tensor per parameter."""
    table = torch.tensor(rows, dtype=torch.float64, device=device)
    return table.unsqueeze(1).unbind(-1)
