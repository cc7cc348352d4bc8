"""Makes an image from a model's files, in a process with transformers and the raw weights.

Packer(source, kernel, kind, made_of).write(file) ──▶ True if the model has the form, and is
                                                      now in the file
"""

import logging
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import BinaryIO

from rowcast.engine.decoding.llama.packed_parts import Packing, one_thread, parts_of, shape_of
from rowcast.engine.decoding.llama.shape import read_form
from rowcast.engine.kernels.linear_kernel import LinearKernel
from rowcast.engine.kernels.packed_weight import Kind
from rowcast.engine.loading.images.image import ImageWriter
from rowcast.engine.loading.images.image_format import MadeOf, about
from rowcast.engine.loading.loader import load
from rowcast.engine.loading.source import ModelSource

_log = logging.getLogger("rowcast.loading")

REPORT_SECONDS = 2.0


@dataclass(frozen=True, slots=True)
class Packer:
    """How one model is packed."""

    source: ModelSource
    kernel: LinearKernel
    kind: Kind
    made_of: MadeOf

    def write(self, file: BinaryIO) -> bool:
        """Write the image to a file or a pipe.

        Return False, and write nothing, if the model does not have the form.
        """
        loaded = load(self.source)
        form = read_form(loaded.model)
        if form is None:
            return False
        facts = loaded.facts
        packing = Packing(self.kernel, self.kind, facts.dtype, facts.positions)
        writer = ImageWriter(file)
        with one_thread():
            basis = packing.basis(form)
            shape = shape_of(form, basis)
            for name, part in parts_of(form, packing, basis, progress(len(form.layers))):
                writer.add(name, part)
        writer.finish(about(self.made_of, shape, facts))
        return True


def progress(layers: int) -> Callable[[int], None]:
    """Return a function that logs the number of finished layers, at most every other second."""
    started = reported = time.monotonic()

    def report(done: int) -> None:
        nonlocal reported
        now = time.monotonic()
        if now - reported >= REPORT_SECONDS or done == layers:
            reported = now
            _log.info("packed layers=%d/%d seconds=%.1f", done, layers, now - started)

    return report
