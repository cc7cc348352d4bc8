"""Rowcast itself, as a user starts it, from this tree and with the Python that runs the bench."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path
from typing import ClassVar

from commands.bench.dialects import DIALECTS
from commands.bench_peers.installation import Installation, NotInstalledError
from commands.bench_peers.peer import Peer, Plan, Setting
from local.ports import LOCAL

ROOT = Path(__file__).resolve().parents[4]
NEEDED = ("gunicorn", "gevent", "flask", "torch", "transformers")
NAME = "bench"
DTYPES = {"bf16": "bfloat16", "int8": "int8", "fp32": "float32"}


class Rowcast(Peer):
    """This project's server, without its proxy."""

    name: ClassVar[str] = "rowcast"
    version: ClassVar[str] = "this tree"
    precisions: ClassVar[tuple[str, ...]] = tuple(DTYPES)

    def check(self, installation: Installation) -> None:  # noqa: ARG002
        """Check that the Python that runs this has everything it needs."""
        missing = [name for name in NEEDED if importlib.util.find_spec(name) is None]
        if missing:
            raise NotInstalledError(
                f"rowcast: this Python has no {', '.join(missing)}; "
                "run `make install`, then .venv/bin/python scripts/bench_peers"
            )

    def plan(self, installation: Installation, setting: Setting, precision: str, port: int) -> Plan:  # noqa: ARG002
        """Start gunicorn as `make run-app` does."""
        return Plan(
            command=(sys.executable, "-m", "gunicorn", "--config", "gunicorn.conf.py"),
            ready="/readiness",
            dialect=DIALECTS["openai"],
            model=NAME,
            extra={"temperature": 0, "ignore_eos": True},
            variables={
                "HOST": LOCAL,
                "PORT": str(port),
                "MODEL": str(setting.model),
                "MODEL_NAME": NAME,
                "DTYPE": DTYPES[precision],
                "DEVICE": "cpu",
                "CONTEXT_LENGTH": str(setting.positions),
                "OMP_NUM_THREADS": str(setting.threads),
                "LOG_LEVEL": "warning",
            },
            folder=ROOT,
        )
