"""Where the kernels come from: imports them for a GPU, and nowhere else.

    gpu_kernels(device) ──▶ GpuKernels: attention, token sampler, the name of their arithmetic
                            None on a CPU, where Triton is neither needed nor imported

Linear layers, norms and heads are functions of their own modules. The engine does not call this
yet: docs/plans/gpu.md.
"""

import hashlib
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from rowcast.errors import RowcastError
from rowcast.sampling.token_sampler import TokenSampler

if TYPE_CHECKING:  # its module imports Triton
    from rowcast.engine.kernels.gpu.attention import TritonAttention


class TritonMissing(RowcastError):
    """A GPU is to be used, and its kernels cannot be compiled; the text says what to change."""


@dataclass(frozen=True, slots=True)
class GpuKernels:
    """What runs on one GPU."""

    device: torch.device
    name: str  # identifies the arithmetic: equal names give equal bits on equal GPUs

    def attention(self) -> "TritonAttention":
        """Return what stores and attends."""
        from rowcast.engine.kernels.gpu.attention import TritonAttention  # noqa: PLC0415

        return TritonAttention(self.name)

    def token_sampler(self, rows: int, vocabulary: int) -> TokenSampler:
        """Return what draws tokens."""
        from rowcast.engine.kernels.gpu.token_sampler import TritonTokenSampler  # noqa: PLC0415

        return TritonTokenSampler(rows, vocabulary, self.device)


def gpu_kernels(device: torch.device) -> GpuKernels | None:
    """Return the kernels for a device; None if it is no GPU. Raises TritonMissing."""
    if device.type != "cuda":
        return None
    if find_spec("triton") is None:
        raise TritonMissing(
            "DEVICE=cuda needs Triton, which torch for CUDA installs on Linux: install the torch "
            "of requirements.txt from PyPI, or set DEVICE=cpu"
        )
    import triton  # noqa: PLC0415

    return GpuKernels(device, f"triton-{triton.__version__}-{_digest()}")


def _digest() -> str:
    """Return eight digits of the kernels' sources."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]
