"""Graphs: a step's launches, recorded once for each class of widths, then repeated in one call.

    Graphs.run(key, work)    records `work` the first time; afterwards repeats what was recorded
    Numbers.send(lines)      whole numbers of a step, to one fixed address on the device
    width_class(count)       the number of slots that so many tokens are filled up to

What is recorded are addresses and sizes: `work` reads its numbers from fixed memory, writes its
results to fixed memory, and may be run again without harm. Only `capture_on_gpu` knows CUDA; on a
CPU, `run_again` takes its place.
"""

from collections.abc import Callable, Hashable, Sequence

import torch

Work = Callable[[], None]
Capture = Callable[[Work], Work]
"""Runs what it is given, and returns what does the same again, at the same addresses."""


def width_class(count: int, most: int) -> int:
    """Return the least power of two that is at least `count`, but no more than `most`."""
    return min(1 << max(0, count - 1).bit_length(), most)


class Graphs:
    """What was recorded, by key."""

    def __init__(self, capture: Capture) -> None:
        self._capture = capture
        self._recorded: dict[Hashable, Work] = {}

    def run(self, key: Hashable, work: Work) -> None:
        """Do the work; equal keys must mean equal launches."""
        if key not in self._recorded:
            self._recorded[key] = self._capture(work)
        self._recorded[key]()


class Numbers:
    """Lines of whole numbers: written on the host, copied at once, read at a fixed address."""

    def __init__(
        self, lines: int, most: int, device: torch.device, dtype: torch.dtype = torch.int32
    ) -> None:
        on_gpu = device.type == "cuda"
        self._host = torch.zeros(lines, most, dtype=dtype, pin_memory=on_gpu)
        self._lines = self._host.numpy()
        self._copied = _event() if on_gpu else None
        self.on_device = self._host.to(device, copy=True)

    def send(self, *lines: tuple[Sequence[int], int]) -> None:
        """Copy each line's numbers, and its blank behind them, without waiting for the copy."""
        if self._copied is not None:
            self._copied.synchronize()  # the last copy may still be reading
        for to, (numbers, blank) in zip(self._lines, lines, strict=True):
            to[: len(numbers)] = numbers
            to[len(numbers) :] = blank
        self.on_device.copy_(self._host, non_blocking=True)
        if self._copied is not None:
            self._copied.record()


def capture_for(device: torch.device) -> Capture:
    """Return what records on a device."""
    return capture_on_gpu() if device.type == "cuda" else run_again


def run_again(work: Work) -> Work:
    """Return the work itself: there is nothing to record on a CPU."""
    return work


def capture_on_gpu() -> Capture:
    """Return what records CUDA graphs, whose intermediate results share memory.

    They may, since nothing outside a graph reads them and no two graphs run at a time.
    """
    pool = torch.cuda.graph_pool_handle()

    def capture(work: Work) -> Work:
        graph = torch.cuda.CUDAGraph()
        stream: torch.cuda.Stream = torch.cuda.Stream()  # type: ignore[no-untyped-call]
        stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(stream):
            work()  # compiles kernels, which cannot be done while recording
            stream.synchronize()
            graph.capture_begin(pool=pool, capture_error_mode="thread_local")
            try:
                work()
            finally:
                graph.capture_end()
        return graph.replay

    return capture


def _event() -> torch.cuda.Event:
    event: torch.cuda.Event = torch.cuda.Event()  # type: ignore[no-untyped-call]
    return event
