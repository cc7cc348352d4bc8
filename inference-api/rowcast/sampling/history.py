"""The tokens that each row has been fed, for penalties: which ones, and how often in the reply.

    row 3   slot    0    1    2          a slot for each distinct token, in the order of arrival
            token  17  904   33
            count   0    2    1          occurrences in the reply; 0: in the prompt only

`observe` only collects notes; `penalise` copies them to the device at once and edits private
logits. Rows without penalties are not recorded. Knows nothing of masks, temperature or noise.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from rowcast.sampling.edits import to_device
from rowcast.sampling.token_sampler import Past
from rowcast.sampling_params import SamplingParams

_FIRST_CAPACITY = 256


class History:
    """The distinct tokens of each row that has penalties."""

    def __init__(self, rows: int, vocabulary: int, device: torch.device) -> None:
        self._vocabulary = vocabulary
        self._device = device
        self._params: list[SamplingParams | None] = [None] * rows
        self._slots: list[dict[int, int]] = [{} for _ in range(rows)]
        self._tokens = torch.zeros(rows, 0, dtype=torch.int64, device=device)
        self._counts = torch.zeros(rows, 0, dtype=torch.float32, device=device)
        self._notes: list[tuple[int, int, int, int]] = []  # row, slot, token, count

    def seat(self, row: int, params: SamplingParams) -> None:
        """Forget the row's tokens; record new ones if its parameters have penalties."""
        self._write_notes()
        self._slots[row] = {}
        self._counts[row] = 0
        self._params[row] = params if penalises(params) else None

    def forget(self, row: int) -> None:
        """Forget the row's tokens."""
        if (params := self._params[row]) is not None:
            self.seat(row, params)

    def observe(self, row: int, tokens: Sequence[int], *, reply: bool) -> None:
        """Note the tokens that the row is fed."""
        params = self._params[row]
        if params is None or not (reply or params.repetition_penalty != 1.0):
            return
        slots = self._slots[row]
        for token in tokens:
            if 0 <= token < self._vocabulary and (reply or token not in slots):
                slot = slots.setdefault(token, len(slots))
                self._notes.append((row, slot, token, int(reply)))

    def penalise(self, logits: Tensor, rows: Sequence[int]) -> None:
        """Edit private logits: flat, `vocabulary` for each of `rows`, then one spare."""
        self._write_notes()
        lengths = [len(self._slots[row]) for row in rows]
        longest = max(lengths)
        if longest == 0:
            return
        at = torch.tensor(rows, device=self._device)
        places = self._places(at, lengths, longest)
        penalties = torch.tensor([self._penalties(row) for row in rows], device=self._device)
        repetition, presence, frequency = penalties.unsqueeze(1).unbind(-1)
        counts = self._counts[at, :longest]
        values = logits[places]
        values = torch.where(values < 0, values * repetition, values / repetition)
        values -= counts * frequency
        values -= (counts > 0) * presence
        logits[places] = values

    def past(self, row: int) -> Past:
        """Return the data that `penalise` uses, for one row."""
        self._write_notes()
        count = len(self._slots[row])
        return Past(self._tokens[row, :count], self._counts[row, :count])

    def _places(self, at: Tensor, lengths: list[int], longest: int) -> Tensor:
        """Return the rows' tokens as flat indexes; unused slots point to the spare one."""
        begins = torch.arange(len(at), device=self._device).unsqueeze(1) * self._vocabulary
        spare = len(lengths) * self._vocabulary
        slots = torch.arange(longest, device=self._device)
        taken = slots < torch.tensor(lengths, device=self._device).unsqueeze(1)
        return torch.where(taken, self._tokens[at, :longest] + begins, spare)

    def _penalties(self, row: int) -> tuple[float, float, float]:
        params = self._params[row]
        if params is None:
            return 1.0, 0.0, 0.0
        return params.repetition_penalty, params.presence_penalty, params.frequency_penalty

    def _write_notes(self) -> None:
        if not self._notes:
            return
        self._grow(1 + max(slot for _, slot, _, _ in self._notes))
        notes = to_device(torch.tensor(self._notes), self._device)
        row, slot, token, count = notes.unbind(1)
        self._tokens[row, slot] = token
        self._counts.index_put_((row, slot), count.float(), accumulate=True)
        self._notes.clear()

    def _grow(self, needed: int) -> None:
        """Make room for `needed` distinct tokens per row, doubling."""
        rows, capacity = self._tokens.shape
        if needed <= capacity:
            return
        more = max(_FIRST_CAPACITY, capacity, needed - capacity)
        self._tokens = torch.cat([self._tokens, self._tokens.new_zeros(rows, more)], 1)
        self._counts = torch.cat([self._counts, self._counts.new_zeros(rows, more)], 1)


def penalises(params: SamplingParams) -> bool:
    """True if a row's past changes its logits."""
    return (
        params.repetition_penalty != 1.0
        or params.presence_penalty != 0.0
        or params.frequency_penalty != 0.0
    )
