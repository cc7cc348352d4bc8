"""`transformers serve`, the library's own server, with continuous batching where that is faster.

Its streams end with the counts and without `[DONE]`; the reader here expects that.
"""

from __future__ import annotations

import math
from typing import ClassVar

from commands.bench.dialects.dialect import Reader
from commands.bench.dialects.openai import CompletionEvents, OpenAI
from commands.bench_peers.installation import Installation
from commands.bench_peers.peer import Peer, Plan, Setting
from local.ports import LOCAL

PAGE = 256  # tokens per block of its cache


class WithoutDone(CompletionEvents):
    """Reads streams whose last event is the one with the counts."""

    def close(self) -> str | None:
        """Accept the end of the body, after the finish reason, as the end of the reply."""
        self.ended = self.ended or self.finish_reason is not None
        return super().close()


class TransformersCompletions(OpenAI):
    """OpenAI's completions as `transformers serve` implements them."""

    def reader(self) -> Reader:
        """Return a reader of completion events without `[DONE]`."""
        return WithoutDone()


class TransformersServe(Peer):
    """`transformers serve`."""

    name: ClassVar[str] = "transformers"
    version: ClassVar[str] = "5.23.0"
    precisions: ClassVar[tuple[str, ...]] = ("bf16",)

    def install(self, installation: Installation) -> None:
        """Install the library and the requirements of its server."""
        installation.make_venv()
        installation.pip("install", "torch==2.13.0", f"transformers[serving]=={self.version}")

    def plan(self, installation: Installation, setting: Setting, precision: str, port: int) -> Plan:  # noqa: ARG002
        """Start with one model and a sized cache; otherwise it takes all memory."""
        return Plan(
            command=(
                *(installation.program("transformers"), "serve", str(setting.model)),
                *("--host", LOCAL, "--port", str(port)),
                *("--device", "cpu", "--dtype", "bfloat16", "--continuous-batching"),
                *("--cb-num-blocks", str(_blocks(setting))),
            ),
            ready="/health",
            dialect=TransformersCompletions(),
            model=str(setting.model),
            extra={"temperature": 0},
            variables={"OMP_NUM_THREADS": str(setting.threads), "HF_HUB_OFFLINE": "1"},
        )


def _blocks(setting: Setting) -> int:
    """Return twice what the streams need: it keeps some blocks free."""
    return 2 * setting.streams * math.ceil(setting.positions / PAGE)
