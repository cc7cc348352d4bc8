"""Where the kernels come from: imports them for a GPU, and nowhere else.

    gpu_kernels(device) ──▶ GpuKernels: attention, token sampler, the name of their arithmetic
                            None on a CPU, where Triton is neither needed nor imported
    need_triton(device)     refuses a GPU without Triton, before anything looks for the GPU

`llama.gpu_decoder` also imports linear layers, norms and heads; nothing imports it on a CPU.
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

DTYPES = (torch.float32, torch.bfloat16)  # of states and cache
FORKABLE = {"PYTORCH_NVML_BASED_CUDA_CHECK": "1"}
"""Makes torch look for a GPU without CUDA: a library that looks while it is imported would else
leave a process whose forks cannot use the GPU."""


class TritonMissing(RowcastError):
    """A GPU is to be used, and its kernels cannot be compiled; the text says what to change."""


@dataclass(frozen=True, slots=True)
class GpuKernels:
    """What runs on one GPU."""

    device: torch.device
    arithmetic: str  # Triton's version and a digest of the kernels' sources

    @property
    def name(self) -> str:
        """Identifies the arithmetic, with the GPU's name: equal names give equal bits."""
        return f"{self.arithmetic}-{card(self.device)}"

    def attention(self) -> "TritonAttention":
        """Return what stores and attends."""
        from rowcast.engine.kernels.gpu.attention import TritonAttention  # noqa: PLC0415

        return TritonAttention(self.name)

    def token_sampler(self, rows: int, vocabulary: int) -> TokenSampler:
        """Return what draws tokens."""
        from rowcast.engine.kernels.gpu.token_sampler import TritonTokenSampler  # noqa: PLC0415

        return TritonTokenSampler(rows, vocabulary, self.device)


def need_triton(device: torch.device) -> None:
    """Raise TritonMissing if the device is a GPU, and Triton is not installed."""
    if device.type == "cuda" and find_spec("triton") is None:
        raise TritonMissing(
            "DEVICE=cuda needs Triton, which torch for CUDA installs on Linux: install the torch "
            "of requirements.txt from PyPI, or set DEVICE=cpu"
        )


def gpu_kernels(device: torch.device) -> GpuKernels | None:
    """Return the kernels for a device; None if it is no GPU. Raises TritonMissing."""
    if device.type != "cuda":
        return None
    need_triton(device)
    return kernels_of(device)


def kernels_of(device: torch.device) -> GpuKernels:
    """Return the kernels for a device, which may be a CPU where Triton interprets."""
    import triton  # noqa: PLC0415

    return GpuKernels(device, f"triton-{triton.__version__}-{_digest()}")


def card(device: torch.device) -> str:
    """Return the GPU's name without spaces; an interpreter has none."""
    if device.type != "cuda":
        return "interpreted"
    return torch.cuda.get_device_name(device).replace(" ", "-")


def _digest() -> str:
    """Return eight digits of the kernels' sources."""
    digest = hashlib.sha256()
    for path in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(path.read_bytes())
    return digest.hexdigest()[:8]
