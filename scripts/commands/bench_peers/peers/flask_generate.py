"""The simplest server: Flask, `generate`, one reply at a time. A typical first attempt."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from commands.bench.dialects import DIALECTS
from commands.bench_peers.installation import Installation
from commands.bench_peers.peer import Peer, Plan, Setting

PROGRAM = Path(__file__).resolve().parent / "programs" / "flask_server.py"


class FlaskGenerate(Peer):
    """A one-page program of our own."""

    name: ClassVar[str] = "flask"
    version: ClassVar[str] = "3.1.3"
    precisions: ClassVar[tuple[str, ...]] = ("bf16",)
    most_streams: ClassVar[int] = 8  # it serves them one after another

    def install(self, installation: Installation) -> None:
        """Install Flask and transformers."""
        installation.make_venv()
        pins = ("torch==2.13.0", "transformers==5.23.0")
        installation.pip("install", f"flask=={self.version}", *pins)

    def plan(self, installation: Installation, setting: Setting, precision: str, port: int) -> Plan:  # noqa: ARG002
        """Start Flask's own server, with a thread per request."""
        return Plan(
            command=(
                *(str(installation.python), str(PROGRAM), str(setting.model)),
                *("--port", str(port), "--threads", str(setting.threads)),
            ),
            ready="/health",
            dialect=DIALECTS["openai"],
            variables={"HF_HUB_OFFLINE": "1"},
        )
