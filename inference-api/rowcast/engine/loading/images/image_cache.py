"""An automatic cache of small packed models, so that a second start needs no packer.

An image is named by everything that it is made of: the model's files, how they are wanted, and the
code that packs. Only this user can write there, and only the latest few are kept.
"""

import hashlib
import importlib.metadata
import logging
from collections.abc import Iterator
from pathlib import Path

from rowcast.engine.kernels.build import cache_folder, private
from rowcast.engine.loading.images.image_format import MadeOf
from rowcast.engine.loading.source_files import weight_bytes

_log = logging.getLogger("rowcast.loading")

SMALL = 64 << 20  # bytes of weights; larger ones are saved only on request (SAVE_IMAGE)
MOST_IMAGES = 8
CODE = Path(__file__).resolve().parents[2]  # of the engine
LIBRARIES = ("torch", "transformers")


def cached_image(folder: Path, made_of: MadeOf) -> Path | None:
    """Return the image's path; None for a large model, or if no cache is available."""
    if weight_bytes(folder) > SMALL:
        return None
    try:
        place = private(private(cache_folder()) / "images")
    except (OSError, RuntimeError) as error:
        _log.info("image kept=no reason=%r", str(error))
        return None
    digest = hashlib.sha256()
    for part in _parts(folder, made_of):
        digest.update(part + b"\0")
    return place / f"{digest.hexdigest()[:32]}.image"


def forget_older(place: Path) -> None:
    """Delete all but this image and the latest few."""
    images = sorted(place.parent.glob("*.image"), key=lambda each: each.stat().st_mtime)
    for each in images[:-MOST_IMAGES]:
        if each != place:
            each.unlink(missing_ok=True)


def _parts(folder: Path, made_of: MadeOf) -> Iterator[bytes]:
    yield repr(made_of).encode()
    for file in sorted(folder.glob("*")):
        found = file.stat()
        yield f"{file.name} {found.st_size} {found.st_mtime_ns}".encode()
    for name in LIBRARIES:
        yield f"{name} {importlib.metadata.version(name)}".encode()
    for source in sorted(CODE.rglob("*.py")):
        yield source.read_bytes()
