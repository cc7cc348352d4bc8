"""Whether a kernel multiplies by the processor's tiles.

    arithmetic, what the compiled kernel finds ──tiles_of──▶ none, hardware or emulated

Refused tiles leave vectors, with one line in the log; if tiles were chosen, they stop the start.
Every kernel that has tiles exports `rowcast_amx_here` and `rowcast_has_amx`.
"""

import logging
from functools import cache

from rowcast.engine.kernels.arithmetic import Arithmetic, Tiles, missing
from rowcast.engine.kernels.build import Kernel

_REASONS = (  # in the order of amx_here.h
    "",
    "the build does not have the instructions",
    "the processor does not have them",
    "the system does not save tiles",
    "the system does not permit tiles",
    "a stack for signals has no room for tiles",
    "the tile unit does not compute as documented",
)
_log = logging.getLogger(__name__)


@cache
def report_refused(reason: str) -> None:
    """Log, once in a process, why tiles are not used."""
    _log.warning("tiles=none reason=%r", reason)


def tiles_of(kernel: Kernel, arithmetic: Arithmetic) -> Tiles:
    """Return how a kernel gets its tiles. Call it before threads start: it asks for permission."""
    if arithmetic.tiles == "emulated":
        _log.warning("tiles=emulated slow=yes")
    if arithmetic.tiles != "hardware":
        return arithmetic.tiles
    reason = _REASONS[kernel.library.rowcast_amx_here()]
    if reason and arithmetic.chosen:
        raise missing("amx", reason)
    if reason and kernel.library.rowcast_has_amx():
        report_refused(reason)
    return "none" if reason else "hardware"
