"""What a model's own `generation_config.json` wants of requests that leave a parameter out.

Dialects whose contract names defaults of their own (the native one) do not ask. A value that is no
number of its range is told in the log and not taken. Ends of text and suppressed tokens are the
engine's.
"""

import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

_log = logging.getLogger("rowcast.loading")

FILE = "generation_config.json"


@dataclass(frozen=True, slots=True, kw_only=True)
class Defaults:
    """Parameters as they are when nobody says otherwise."""

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
    """What the file says, over what is usual."""
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
