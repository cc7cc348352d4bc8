"""What takes the place of a CUDA graph on a CPU: records operations and launches, and repeats them.

As on a GPU, addresses and plain numbers are those of the recording: whatever `work` would do
differently the second time, such as taking a number out of the host's memory, is not done. Memory
that an operation of torch reads is read again, as a copy from pinned memory is.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, _disable_current_modes
from triton.runtime.interpreter import GridExecutor

from rowcast.engine.kernels.gpu.graphs import Work

Step = Callable[[], None]


class _Operations(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Records each operation of torch; repeating it writes to where its result was."""

    def __init__(self, steps: list[Step]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self._steps = steps

    def __torch_dispatch__(
        self, operation: Any, types: Any, args: Any = (), kwargs: Any = None
    ) -> Any:
        named = kwargs or {}
        result = operation(*args, **named)
        self._steps.append(lambda: _write(operation(*args, **named), result))
        return result


def _write(again: Any, result: Any) -> None:
    """Copy a repeated operation's result to where it was; views and results in place are there."""
    if isinstance(again, Tensor) and again.data_ptr() != result.data_ptr():
        result.copy_(again)


def recorder(work: Work) -> Work:
    """Return what repeats the work, as a CUDA graph does."""
    steps: list[Step] = []
    launch = GridExecutor.__call__

    def noted(self: Any, *args: Any, **named: Any) -> None:
        steps.append(lambda: launch(self, *args, **named))

    with torch.inference_mode():
        work()  # as a GPU compiles before it records
        GridExecutor.__call__ = noted
        try:
            with _Operations(steps):
                work()
        finally:
            GridExecutor.__call__ = launch

    def replay() -> None:
        with _disable_current_modes():
            for step in steps:
                step()

    return replay
