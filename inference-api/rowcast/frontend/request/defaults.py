"""Defaults from a model's own `generation_config.json`, for parameters that a request omits.

Dialects whose contract defines its own defaults (the native one) do not use them. A value that is
not a number within its range is logged and ignored. The engine handles end-of-text and suppressed
tokens.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_log = logging.getLogger("rowcast.loading")

FILE = "generation_config.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """The values of parameters that neither the request nor the model sets."""

    temperature: float = 1.0
    top_k: int = 0  # off
    top_p: float = 1.0
    min_p: float = 0.0
    repetition_penalty: float = 1.0


RANGES = {
    "temperature": (0.0, 100.0),
    "top_k": (-1, 1_000_000),
    "top_p": (0.0, 1.0),
    "min_p": (0.0, 1.0),
    "repetition_penalty": (0.01, 100.0),
}


def defaults_of(words: Mapping[str, Any]) -> Defaults:
    """Return the file's values on top of the usual defaults."""
    taken = {}
    for name, (least, most) in RANGES.items():
        value = words.get(name)
        if value is None:
            continue
        number = isinstance(value, (int, float)) and not isinstance(value, bool)
        if not number or not least <= value <= most or (name == "top_k" and value != int(value)):
            _log.warning("%s %s=%r not_taken", FILE, name, value)
            continue
        taken[name] = max(0, int(value)) if name == "top_k" else float(value)
    if taken:
        _log.info("defaults %s", " ".join(f"{name}={value:g}" for name, value in taken.items()))
    return Defaults(**taken)  # type: ignore[arg-type]  # each by its name
