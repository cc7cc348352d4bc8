"""Edits of a row's logits: bias, bans, an allow-list, ends that are not yet allowed, and a grammar.

    entry   token   what is added   while the position is below
            50256   -inf            min_tokens
               11   +2.5            forever

Entries are written when a row is seated, a grammar's flags before each draw; both are applied to
private logits at each draw. Knows nothing of the row's tokens, of temperature or noise.
"""

from collections.abc import Iterator, Sequence

import torch
from torch import Tensor

from rowcast.sampling.token_sampler import Changes
from rowcast.sampling_params import SamplingParams

_FOR_EVER = 2**62
_Entry = tuple[int, float, int]


class Edits:
    """The edits of every row."""

    def __init__(
        self, rows: int, vocabulary: int, end_tokens: frozenset[int], device: torch.device
    ) -> None:
        self._vocabulary = vocabulary
        self._end_tokens = end_tokens
        self._device = device
        self._lengths = [0] * rows
        self._restricted = [False] * rows
        self._tokens = torch.zeros(rows, 0, dtype=torch.int64, device=device)
        self._added = torch.zeros(rows, 0, dtype=torch.float32, device=device)
        self._until = torch.zeros(rows, 0, dtype=torch.int64, device=device)
        self._refused: Tensor | None = None  # [rows, vocabulary], once a row is restricted
        self._listed: dict[int, Tensor] = {}  # what allow-lists refuse, for rows with grammars

    def seat(self, row: int, params: SamplingParams) -> bool:
        """Start a new reply in a row; return True if it has any edits."""
        entries = [entry for entry in self._entries(params) if 0 <= entry[0] < self._vocabulary]
        self._grow(len(entries))
        self._lengths[row] = len(entries)
        self._added[row] = 0  # an entry beyond the length adds nothing
        if entries:
            tokens, added, until = zip(*entries, strict=True)
            self._tokens[row, : len(entries)] = to_device(torch.tensor(tokens), self._device)
            self._added[row, : len(entries)] = to_device(torch.tensor(added), self._device)
            self._until[row, : len(entries)] = to_device(torch.tensor(until), self._device)
        self._restrict(row, params)
        return bool(entries) or self._restricted[row]

    def refuse(self, row: int, refused: Tensor) -> None:
        """Set the tokens that the row's grammar does not allow next: flags [vocabulary]."""
        listed = self._listed.get(row)
        if self._refused is not None:
            self._refused[row] = refused if listed is None else refused | listed
            self._restricted[row] = True

    def lift(self, row: int) -> None:
        """Remove what the row's grammar did not allow."""
        listed = self._listed.get(row)
        self._restricted[row] = listed is not None
        if self._refused is not None:  # `apply` reads it for each row beside a restricted one
            self._refused[row] = False if listed is None else listed

    def apply(self, logits: Tensor, rows: Sequence[int], positions: Sequence[int]) -> None:
        """Edit private logits [n, vocabulary] of `rows`."""
        at = torch.tensor(rows, device=self._device)
        self._add(logits, at, max(self._lengths[row] for row in rows), positions)
        if self._refused is not None and any(self._restricted[row] for row in rows):
            logits.masked_fill_(self._refused[at], -torch.inf)

    def changes(self, row: int) -> Changes:
        """Return the edits that `apply` makes, for one row."""
        count = self._lengths[row]
        limited = self._refused is not None and self._restricted[row]
        return Changes(
            self._tokens[row, :count],
            self._added[row, :count],
            self._until[row, :count],
            self._refused[row] if self._refused is not None and limited else None,
        )

    def _add(self, logits: Tensor, at: Tensor, longest: int, positions: Sequence[int]) -> None:
        if longest == 0:
            return
        position = torch.tensor(positions, device=self._device).unsqueeze(1)
        due = position < self._until[at, :longest]
        added = torch.where(due, self._added[at, :longest], 0.0)
        # A token has at most one bias, and otherwise only -inf, so the order of addition is free.
        logits.scatter_add_(1, self._tokens[at, :longest], added)

    def _entries(self, params: SamplingParams) -> Iterator[_Entry]:
        for token, bias in dict(params.logit_bias).items():
            yield token, bias, _FOR_EVER
        for token in set(params.banned_tokens):
            yield token, -torch.inf, _FOR_EVER
        if params.ignore_eos:
            for token in self._end_tokens:
                yield token, -torch.inf, _FOR_EVER
        if params.min_tokens > 0:
            for token in self._end_tokens.union(params.stop_token_ids):
                yield token, -torch.inf, params.min_tokens

    def _restrict(self, row: int, params: SamplingParams) -> None:
        allowed = params.allowed_tokens
        self._restricted[row] = bool(allowed)  # a grammar restricts it at each draw
        self._listed.pop(row, None)
        if (allowed or params.grammar) and self._refused is None:
            shape = (len(self._lengths), self._vocabulary)
            self._refused = torch.zeros(shape, dtype=torch.bool, device=self._device)
        if self._refused is not None:
            self._refused[row] = bool(allowed)
            known = [token for token in allowed if 0 <= token < self._vocabulary]
            self._refused[row, torch.tensor(known, dtype=torch.int64, device=self._device)] = False
            if allowed and params.grammar:
                self._listed[row] = self._refused[row].clone()

    def _grow(self, needed: int) -> None:
        rows, capacity = self._tokens.shape
        if needed > capacity:
            more = needed - capacity
            self._tokens = torch.cat([self._tokens, self._tokens.new_zeros(rows, more)], 1)
            self._added = torch.cat([self._added, self._added.new_zeros(rows, more)], 1)
            self._until = torch.cat([self._until, self._until.new_zeros(rows, more)], 1)


def to_device(values: Tensor, device: torch.device) -> Tensor:
    """Return the values on the device, without waiting for what a GPU has still to do."""
    if device.type != "cuda":
        return values.to(device)
    return values.pin_memory().to(device, non_blocking=True)
