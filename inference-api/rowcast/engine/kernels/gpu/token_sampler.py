"""The sampler's `TokenSampler` on a GPU: a token for each row, without a copy of its logits.

    logits, rows, positions ──▶ tokens   the same to the bit as sampling's own in torch

A row is one program. What a row is drawn by is one line of a table on the device, written when it
is seated or edited; the past and the edits are read where the sampler keeps them. A choice copies
rows and positions to the device, and is queued behind the layers that make its logits; the copy of
the tokens back is the one thing that waits. Log-probabilities are sampling's own, in torch.
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor

from rowcast.engine.kernels.gpu.choosing import (
    EDITED,
    GREEDY,
    OPEN,
    RANKED,
    TEMPERATURE,
    WIDTH,
    choose,
)
from rowcast.engine.kernels.gpu.graphs import Numbers
from rowcast.sampling import mass
from rowcast.sampling.draws import Method
from rowcast.sampling.logprobs import Report, report
from rowcast.sampling.token_sampler import Changes, Past
from rowcast.sampling_params import SamplingParams

METHODS: dict[Method, int] = {
    "greedy": GREEDY.value,
    "few": RANKED.value,
    "many": RANKED.value,
    "open": OPEN.value,
}
DTYPES = (torch.float32, torch.bfloat16)
LAUNCH = {"enable_fp_fusion": False, "num_warps": 8}


class TritonTokenSampler:
    """The `TokenSampler` Protocol by our kernel."""

    def __init__(self, rows: int, vocabulary: int, device: torch.device) -> None:
        self._vocabulary = vocabulary
        self._device = device
        on_gpu = device.type == "cuda"
        # The host's table changes between choices only, when its last copy is over.
        self._table = torch.zeros(rows, WIDTH.value, dtype=torch.int64, pin_memory=on_gpu)
        self._reals = self._table.view(torch.float64)
        self._seats = self._table.to(device, copy=True)
        self._stale = False  # the table was changed since it was copied to the device
        self._alive: list[object] = [None] * rows
        self._ranked = [0] * rows  # how many tokens each draws from by rank
        self._powers = _powers(device)
        self._fit(rows)
        self._buffers: dict[str, Tensor] = {}

    def takes(self, logits: Tensor) -> bool:
        same = logits.device.type == self._device.type
        return same and logits.dtype in DTYPES and logits.stride(-1) == 1

    def seat(self, row: int, params: SamplingParams, method: Method, stream: int) -> None:
        number = METHODS[method]
        self._ranked[row] = params.top_k if number == RANKED.value else 0
        self._table[row] = 0
        signed = stream - (1 << 64 if stream >> 63 else 0)
        self._table[row, : EDITED.value] = torch.tensor([number, params.top_k, signed])
        self._reals[row, TEMPERATURE.value :] = torch.tensor(
            [
                params.temperature,
                params.top_p,
                min(params.min_p, 1.0),
                params.repetition_penalty,
                params.presence_penalty,
                params.frequency_penalty,
            ],
            dtype=torch.float64,
        )
        self._alive[row] = None
        self._stale = True

    def edit(self, row: int, past: Past, changes: Changes) -> None:
        refused = changes.refused
        self._table[row, EDITED.value : TEMPERATURE.value] = torch.tensor(
            [
                1,
                past.tokens.data_ptr(),
                past.counts.data_ptr(),
                len(past.tokens),
                changes.tokens.data_ptr(),
                changes.added.data_ptr(),
                changes.until.data_ptr(),
                len(changes.tokens),
                0 if refused is None else refused.data_ptr(),
            ]
        )
        self._alive[row] = past, changes
        self._stale = True

    def choose(self, logits: Tensor, rows: Sequence[int], positions: Sequence[int]) -> list[int]:
        count, size = len(rows), self._vocabulary
        if logits.shape[0] < count or logits.shape[1] != size:
            raise ValueError(f"logits {[*logits.shape]} for {count} rows of {size}")
        if not 0 <= min(rows) <= max(rows) < len(self._table):
            raise ValueError(f"rows {min(rows)} to {max(rows)} of {len(self._table)}")
        self._send(rows, positions)
        columns, most = mass.columns(size), self._most(rows)
        choose[count,](
            logits,
            logits.stride(0),
            size,
            columns,
            self._seats,
            self._seats.view(torch.float64),
            self._draws.on_device,
            self._draws.on_device.shape[1],
            self._buffer("own", torch.float32, count * size),
            self._buffer("sums", torch.int64, count * columns),
            self._buffer("room", torch.int64, count * 3 * most),
            most,
            self._powers,
            mass.OCTAVES * mass.STEPS,
            self._tokens,
            **LAUNCH,
        )
        chosen: list[int] = self._tokens[:count].tolist()
        return chosen

    def _send(self, rows: Sequence[int], positions: Sequence[int]) -> None:
        """Copy what the kernel reads to the device, without waiting."""
        if self._stale:
            self._seats.copy_(self._table, non_blocking=True)
            self._stale = False
        if len(rows) > len(self._tokens):  # a row is drawn for more than once
            self._fit(len(rows))
        self._draws.send((rows, 0), (positions, 0))

    def _fit(self, draws: int) -> None:
        """Make room for so many draws at once."""
        self._draws = Numbers(2, draws, self._device, torch.int64)
        self._tokens = torch.empty(draws, dtype=torch.int64, device=self._device)

    def _most(self, rows: Sequence[int]) -> int:
        """Return the room for tokens that a row draws from by rank.

        It is a multiple of 16: the kernel is compiled once for all of these.
        """
        return -(-max(1, *(self._ranked[row] for row in rows)) // 16) * 16

    def report(
        self, logits: Tensor, places: Sequence[int], tokens: Sequence[int], counts: Sequence[int]
    ) -> list[Report | None]:
        at = torch.tensor(list(places), device=self._device)
        chosen = torch.tensor(list(tokens), device=self._device).unsqueeze(1)
        padded = mass.padded(self._vocabulary)
        scratch = self._buffer("own", torch.float32, len(places) * padded)
        return report(logits[at].float(), chosen, counts, scratch.view(len(places), padded))

    def _buffer(self, name: str, dtype: torch.dtype, size: int) -> Tensor:
        buffer = self._buffers.get(name)
        if buffer is None or len(buffer) < size:
            buffer = self._buffers[name] = torch.empty(size, dtype=dtype, device=self._device)
        return buffer[:size]


def _powers(device: torch.device) -> Tensor:
    """Return the table of `mass.exponential`, with its steps of e and the logarithm of one."""
    steps = [mass.STEPS / math.log(2), math.log(2) / mass.STEPS]
    last = torch.tensor(steps, dtype=torch.float64, device=device)
    return torch.cat([mass.power_table(device), last])
