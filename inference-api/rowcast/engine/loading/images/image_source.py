"""Obtains a packed model of the Llama form, from an image or newly packed, computing nothing here.

    Order ──obtain──▶ Stored, or None if the model does not have the form

A new one is packed in another process, which needs transformers, the raw weights and the kernel,
and sends or saves the image. A saved image records what it was made of, and is refused if that
differs.
"""

import logging
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

from rowcast.engine.loading.images.image import BadImage, Image, open_image, receive_image
from rowcast.engine.loading.images.image_cache import forget_older
from rowcast.engine.loading.images.image_format import MadeOf, Stored, restore
from rowcast.engine.loading.source_files import weight_bytes
from rowcast.engine.loading.subprocess_call import in_subprocess

_log = logging.getLogger("rowcast.loading")

WIDER = 4  # limit of packed size relative to file size: fp32 from int8 weights
SPARE = 4 << 30  # address space for a model without files

Write = Callable[[BinaryIO], bool]
"""Writes the image; returns False if the model does not have the form."""


@dataclass(frozen=True, slots=True)
class Order:
    """The model that is wanted, and where its image is."""

    model: str
    folder: Path | None  # None: without files
    made_of: MadeOf
    write: Write
    image: Path | None  # where it is kept
    save: bool
    load: bool
    automatic: bool = False  # an automatic cache: problems with it never prevent the start


def obtain(order: Order) -> Stored | None:
    """Return the packed model."""
    started = time.monotonic()
    found = _obtain(order)
    if found is not None:
        seconds = time.monotonic() - started
        _log.info("packed model=%s size=%d seconds=%.1f", order.model, found.size, seconds)
        return restore(found)
    return None


def _obtain(order: Order) -> Image | None:
    if order.image is None:
        return _received(order)
    if order.automatic:
        return _cached(order, order.image)
    if order.load:
        try:
            return _fitting(order, order.image)
        except BadImage as error:
            if not order.save:
                raise
            _log.warning("image=%s reason=%r", order.image, str(error))
    return open_image(order.image) if _saved(order, order.image) else None


def _cached(order: Order, path: Path) -> Image | None:
    """Use the cached image, else save a new one; if that fails, receive one by a pipe."""
    try:
        return _fitting(order, path)
    except BadImage as error:
        _log.debug("image=%s reason=%r", path, str(error))
    try:
        if not _saved(order, path):
            return None
        forget_older(path)
        return open_image(path)
    except (BadImage, OSError) as error:
        _log.warning("image=%s kept=no reason=%r", path, str(error))
        return _received(order)


def _fitting(order: Order, path: Path) -> Image:
    """Return the saved image if it is whole and was made of the same sources."""
    if not path.is_file():
        raise BadImage(f"{path} does not exist: start once with SAVE_IMAGE=1 to save it")
    image = open_image(path)
    theirs, ours = restore(image).made_of, order.made_of
    for name in MadeOf.__dataclass_fields__:
        made, wanted = getattr(theirs, name), getattr(ours, name)
        if wanted != made and not (name == "weights" and not wanted):
            raise BadImage(
                f"{path} was made from different {name} ({made} instead of {wanted}): "
                "save it again with SAVE_IMAGE=1, or choose another IMAGE_SUFFIX"
            )
    return image


def _received(order: Order) -> Image | None:
    """Receive a newly packed image through a pipe, into memory of this process."""
    out, into = os.pipe()
    most = SPARE + WIDER * (weight_bytes(order.folder) if order.folder else 0)

    def write() -> bool:
        os.close(out)
        with os.fdopen(into, "wb", buffering=0) as pipe:
            return order.write(pipe)

    try:
        with in_subprocess(write, "packer") as packing:
            os.close(into)
            image = receive_image(out, most)
            return image() if packing.result() else None
    finally:
        os.close(out)


def _saved(order: Order, path: Path) -> bool:
    """Save a new image under a temporary name and rename it, so that no partial file is found."""
    part = path.with_name(f"{path.name}.{os.getpid()}.part")

    def write() -> bool:
        with part.open("wb") as file:
            return order.write(file)

    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with in_subprocess(write, "packer") as packing:
            if not packing.result():
                return False
        part.replace(path)
    except OSError as error:
        raise BadImage(f"{path} cannot be written: {error.strerror}") from error
    finally:
        part.unlink(missing_ok=True)
    return True
