"""Chooses tokens in C, all rows of a step in one call: the sampler's `TokenSampler` on the CPU.

    logits, rows, positions ──▶ tokens             ┐ the same to the bit as
    logits, places, tokens  ──▶ log-probabilities  ┘ sampling's own in torch

A row's parameters are in one struct, written when it is seated. Rows are distributed over the
threads of the linear kernel, if there is one.
"""

import ctypes
import logging
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from rowcast.engine.kernels.build import Kernel, KernelUnavailable, load_kernel
from rowcast.engine.kernels.threads import Threads
from rowcast.sampling import mass
from rowcast.sampling.draws import Method
from rowcast.sampling.logprobs import Report, report_of
from rowcast.sampling.token_sampler import Changes, Past
from rowcast.sampling_params import SamplingParams

SOURCE = Path(__file__).with_name("token_sampler_kernel.c")
DTYPES = (torch.float32, torch.bfloat16)

_METHODS: dict[Method, int] = {"greedy": 0, "few": 1, "many": 1, "open": 2}
_log = logging.getLogger(__name__)


def _fields(kind: type, *names: str) -> tuple[tuple[str, type], ...]:
    return tuple((name, kind) for name in names)


class Seat(ctypes.Structure):
    """A struct as the C file declares it; `method` is its `way`."""

    _fields_ = (
        *_fields(ctypes.c_int64, "method", "top_k"),
        *_fields(ctypes.c_double, "temperature", "top_p", "min_p"),
        ("stream", ctypes.c_uint64),
        ("edited", ctypes.c_int64),
        *_fields(ctypes.c_void_p, "seen", "counts"),
        ("seen_count", ctypes.c_int64),
        *_fields(ctypes.c_float, "repetition", "presence", "frequency", "unused"),
        *_fields(ctypes.c_void_p, "changed", "added", "until"),
        ("changed_count", ctypes.c_int64),
        ("refused", ctypes.c_void_p),
    )


class Draws(ctypes.Structure):
    """The draws of a step: the C file's struct `Ask`."""

    _fields_ = (
        ("logits", ctypes.c_void_p),
        *_fields(ctypes.c_int64, "half", "size", "step"),
        *_fields(ctypes.c_void_p, "seats", "rows", "positions", "tokens"),
        ("count", ctypes.c_int64),
        ("powers", ctypes.c_void_p),
        *_fields(ctypes.c_int64, "octaves", "steps"),
    )


class Reports(ctypes.Structure):
    """The log-probabilities of a step: the C file's struct `Report`."""

    _fields_ = (
        ("logits", ctypes.c_void_p),
        *_fields(ctypes.c_int64, "half", "size", "step"),
        *_fields(ctypes.c_void_p, "places", "tokens", "counts"),
        *_fields(ctypes.c_int64, "count", "stride"),
        *_fields(ctypes.c_void_p, "masses", "ids", "below"),
    )


class NativeTokenSampler:
    """The `TokenSampler` Protocol by a loaded kernel."""

    def __init__(self, kernel: Kernel, rows: int, vocabulary: int, threads: Threads | None) -> None:
        self._library = library = kernel.library
        library.rowcast_furnish.restype = ctypes.c_void_p
        library.rowcast_furnish.argtypes = [ctypes.c_int64] * 2 + [ctypes.c_void_p] * 2
        library.rowcast_choose.argtypes = [ctypes.c_void_p] * 2
        library.rowcast_choose.restype = None
        library.rowcast_report.argtypes = [ctypes.c_void_p] * 2
        library.rowcast_report.restype = None
        threads = threads or Threads(1, 0, 0)
        self._room = ctypes.c_void_p(
            library.rowcast_furnish(threads.count, vocabulary, threads.share, threads.pool)
        )
        if not self._room:
            raise MemoryError("not enough memory for the token sampler")
        self._table = mass.power_table(torch.device("cpu"))
        self._seats = (Seat * rows)()
        self._alive: list[object] = [None] * rows
        self._vocabulary = vocabulary
        self._make_room(rows)

    def takes(self, logits: Tensor) -> bool:
        return logits.dtype in DTYPES and logits.stride(-1) == 1 and not logits.is_cuda

    def seat(self, row: int, params: SamplingParams, method: Method, stream: int) -> None:
        self._seats[row] = Seat(
            method=_METHODS[method],
            top_k=params.top_k,
            temperature=params.temperature,
            top_p=params.top_p,
            min_p=min(params.min_p, 1.0),
            stream=stream,
            repetition=params.repetition_penalty,
            presence=params.presence_penalty,
            frequency=params.frequency_penalty,
        )

    def edit(self, row: int, past: Past, changes: Changes) -> None:
        seat = self._seats[row]
        seat.edited = 1
        seat.seen, seat.counts = past.tokens.data_ptr(), past.counts.data_ptr()
        seat.seen_count = len(past.tokens)
        seat.changed, seat.added = changes.tokens.data_ptr(), changes.added.data_ptr()
        seat.until, seat.changed_count = changes.until.data_ptr(), len(changes.tokens)
        seat.refused = None if changes.refused is None else changes.refused.data_ptr()
        self._alive[row] = past, changes

    def choose(self, logits: Tensor, rows: Sequence[int], positions: Sequence[int]) -> list[int]:
        count = len(rows)
        if count > len(self._rows):
            self._make_room(count)
        if logits.shape[0] < count or logits.shape[1] != self._vocabulary:
            raise ValueError(f"logits {[*logits.shape]} for {count} rows of {self._vocabulary}")
        if not 0 <= min(rows) <= max(rows) < len(self._seats):
            raise ValueError(f"rows {min(rows)} to {max(rows)} of {len(self._seats)}")
        self._rows[:count] = list(rows)
        self._positions[:count] = list(positions)
        draws = self._draws
        draws.logits, draws.step = logits.data_ptr(), logits.stride(0)
        draws.half, draws.count = logits.dtype is torch.bfloat16, count
        self._library.rowcast_choose(self._room, self._draws_address)
        return self._tokens[:count]

    def report(
        self, logits: Tensor, places: Sequence[int], tokens: Sequence[int], counts: Sequence[int]
    ) -> list[Report | None]:
        size, count, stride = self._vocabulary, len(places), 1 + max(counts)
        if logits.shape[1] != size or not 0 <= min(places) <= max(places) < logits.shape[0]:
            raise ValueError(f"logits {[*logits.shape]} at places {min(places)} to {max(places)}")
        if not 0 <= min(tokens) <= max(tokens) < size or min(counts) < 0:
            raise ValueError(f"tokens {min(tokens)} to {max(tokens)}, {min(counts)} likeliest")
        given = torch.tensor([places, tokens, counts])
        masses = torch.empty(count, dtype=torch.int64)
        ids = torch.zeros(count, stride, dtype=torch.int64)
        below = torch.zeros(count, stride, dtype=torch.float64)
        reports = Reports(
            logits.data_ptr(),
            logits.dtype is torch.bfloat16,
            size,
            logits.stride(0),
            *(each.data_ptr() for each in given),
            count,
            stride,
            *(each.data_ptr() for each in (masses, ids, below)),
        )
        self._library.rowcast_report(self._room, ctypes.byref(reports))
        most = [min(each, size) for each in counts]
        found = zip(masses.tolist(), ids.tolist(), below.tolist(), most, strict=True)
        return [report_of(*of_row) for of_row in found]

    def _make_room(self, count: int) -> None:
        """Allocate buffers for this many rows of logits at once."""
        self._rows = (ctypes.c_int64 * count)()
        self._positions = (ctypes.c_int64 * count)()
        self._tokens = (ctypes.c_int64 * count)()
        self._draws = Draws(
            size=self._vocabulary,
            seats=ctypes.addressof(self._seats),
            rows=ctypes.addressof(self._rows),
            positions=ctypes.addressof(self._positions),
            tokens=ctypes.addressof(self._tokens),
            powers=self._table.data_ptr(),
            octaves=mass.OCTAVES,
            steps=mass.STEPS,
        )
        self._draws_address = ctypes.byref(self._draws)


def choose_token_sampler(
    rows: int, vocabulary: int, threads: Threads | None, folder: Path | None = None
) -> NativeTokenSampler | None:
    """Return the kernel for logits on the CPU, or None if it cannot be built."""
    try:
        return NativeTokenSampler(load_kernel(SOURCE, folder), rows, vocabulary, threads)
    except KernelUnavailable as error:
        _log.warning("sampling=torch reason=%r", str(error))
        return None


def _print_table() -> None:
    """Print the table of `rowcast.sampling` with this token sampler, on two threads if possible."""
    from rowcast.engine.kernels.linear_kernel import choose_linear  # noqa: PLC0415
    from rowcast.sampling.__main__ import main  # noqa: PLC0415

    linear = choose_linear(2)
    threads = linear.thread_pool if linear else None
    main(lambda rows, size: choose_token_sampler(rows, size, threads))


if __name__ == "__main__":
    _print_table()
