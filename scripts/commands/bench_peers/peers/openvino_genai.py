"""OpenVINO GenAI, in its own process and without HTTP: the fastest engine known on such CPUs.

int8: weights as optimum-intel compresses them, activations quantized on the fly in groups of 64.
bf16: the plain export. Tokens go directly in and out of the pipeline, without a server's costs.
"""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from commands.bench_peers.installation import Installation
from commands.bench_peers.peer import Peer, Plan, Setting

PROGRAMS = Path(__file__).resolve().parent / "programs"
GROUP = "64"
WEIGHTS = {"int8": "int8", "bf16": "fp16"}  # of the export, which does not offer bf16


class OpenVINO(Peer):
    """`openvino_genai`'s pipeline with continuous batching."""

    name: ClassVar[str] = "openvino"
    version: ClassVar[str] = "2026.4.1.0"
    precisions: ClassVar[tuple[str, ...]] = ("int8", "bf16")

    def install(self, installation: Installation) -> None:
        """Install the pipeline, and the converter for its models."""
        installation.make_venv()
        pins = ("torch==2.13.0", "torchvision==0.28.0", "optimum-intel==2.2.0")
        installation.pip("install", f"openvino-genai=={self.version}", *pins)
        # optimum-intel requires it for pictures only, and it fails with torch's CPU build.
        installation.pip("uninstall", "--yes", "torchvision")

    def plan(self, installation: Installation, setting: Setting, precision: str, port: int) -> Plan:
        """Start our program that holds the pipeline."""
        weights = self._weights(installation, setting.model, precision)
        return Plan(
            command=(
                *(str(installation.python), str(PROGRAMS / "openvino_engine.py"), str(weights)),
                *("--port", str(port), "--threads", str(setting.threads)),
                *("--precision", precision, "--group", GROUP),
                *("--streams", str(setting.streams), "--positions", str(setting.positions)),
            ),
            ready="/health",
            dialect=None,
        )

    def _weights(self, installation: Installation, model: Path, precision: str) -> Path:
        folder = installation.folder / "models" / f"{model.name}-{precision}"
        done = folder / "converted"
        if not done.is_file() or done.stat().st_mtime < model.stat().st_mtime:
            convert = [
                installation.program("optimum-cli"),
                "export",
                "openvino",
                "--model",
                str(model),
            ]
            kind = ["--task", "text-generation-with-past", "--weight-format", WEIGHTS[precision]]
            installation.run([*convert, *kind, str(folder)], {"HF_HUB_OFFLINE": "1"})
            done.touch()
        return folder
