"""Digests of a model's folder, made without reading all of it, which identify an image's sources.

The configuration by its bytes; weights by their files' names, sizes and samples spread over them.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

CONFIGURATION = "config.json"
WEIGHTS = "*.safetensors"
SAMPLES, SAMPLED = 512, 4096


def weight_files(folder: Path) -> Sequence[Path]:
    """Return the files that weights are read from; empty if there is only a configuration."""
    return sorted(folder.glob(WEIGHTS))


def weight_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in weight_files(folder))


def configuration_digest(folder: Path) -> str:
    return hashlib.sha256((folder / CONFIGURATION).read_bytes()).hexdigest()[:16]


def weights_digest(folder: Path) -> str:
    """Return a digest of the weights; empty if there are none."""
    files = weight_files(folder)
    digest = hashlib.sha256()
    for path in files:
        size = path.stat().st_size
        digest.update(f"{path.name} {size} ".encode())
        with path.open("rb") as file:
            for number in range(SAMPLES):
                file.seek(number * size // SAMPLES)
                digest.update(file.read(SAMPLED))
    return digest.hexdigest()[:16] if files else ""
