"""What a model's folder holds, told without reading all of it: for an image to be bound to.

Configuration by its bytes; weights by their files' names, sizes and samples spread over them.
"""

import hashlib
from collections.abc import Sequence
from pathlib import Path

CONFIGURATION = "config.json"
WEIGHTS = "*.safetensors"
SAMPLES, SAMPLED = 512, 4096


def weight_files(folder: Path) -> Sequence[Path]:
    """Those that a model is read from; none where only its configuration is."""
    return sorted(folder.glob(WEIGHTS))


def weight_bytes(folder: Path) -> int:
    return sum(file.stat().st_size for file in weight_files(folder))


def configuration_digest(folder: Path) -> str:
    return hashlib.sha256((folder / CONFIGURATION).read_bytes()).hexdigest()[:16]


def weights_digest(folder: Path) -> str:
    """Empty where there are none."""
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
