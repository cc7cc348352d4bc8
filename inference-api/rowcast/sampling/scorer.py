"""`Scorer`: log-probabilities of given tokens under the model's own distribution.

    logits of places + the token that follows each ──▶ a report for each place

Scores a few places at a time, so that a long prompt takes little memory besides its logits. A
place's report depends on its own logits alone, bit for bit. Nothing else checks that the logits of
these tokens are finite.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from rowcast.sampling import mass
from rowcast.sampling.logprobs import Report, report
from rowcast.sampling.token_sampler import TokenSampler

AT_ONCE = 16


class Scorer:
    """Scores places; reuses its working memory from call to call."""

    def __init__(self, device: torch.device, token_sampler: TokenSampler | None = None) -> None:
        self._device = device
        self._token_sampler = token_sampler  # a faster way to the same reports
        self._buffer = torch.empty(0, device=device)

    def score(self, logits: Tensor, tokens: Sequence[int], count: int) -> list[Report] | None:
        """Return a report per token, with the `count` likeliest; None if the logits failed."""
        found: list[Report] = []
        for begin in range(0, len(tokens), AT_ONCE):
            end = begin + AT_ONCE
            some = self._score(logits[begin:end], tokens[begin:end], count)
            if some is None:
                return None
            found += some
        return found

    def _score(self, logits: Tensor, tokens: Sequence[int], count: int) -> list[Report] | None:
        reports = self._reports(logits, tokens, [count] * len(tokens))
        found = [each for each in reports if each is not None]
        return found if len(found) == len(tokens) else None

    def _reports(
        self, logits: Tensor, tokens: Sequence[int], counts: Sequence[int]
    ) -> list[Report | None]:
        if self._token_sampler is not None and self._token_sampler.takes(logits):
            return self._token_sampler.report(logits, range(len(tokens)), tokens, counts)
        values = logits.float()
        if not bool(values.isfinite().all()):
            return [None] * len(tokens)
        chosen = torch.tensor(tokens, device=self._device).unsqueeze(1)
        return report(values, chosen, counts, self._scratch(*values.shape))

    def _scratch(self, places: int, vocabulary: int) -> Tensor:
        size = places * mass.padded(vocabulary)
        if self._buffer.numel() < size:
            self._buffer = torch.empty(size, device=self._device)
        return self._buffer[:size].view(places, -1)
