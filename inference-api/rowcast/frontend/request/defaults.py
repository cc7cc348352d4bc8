"""Defaults of parameters that a request omits, from `generation_config.json` and CONFIG_FILE.

Dialects whose contract defines its own defaults (the native one) do not use them. A value that is
not a number within its range is logged and ignored. The engine handles end-of-text and suppressed
tokens.
"""

import logging
from collections.abc import Mapping
from typing import Any

from msgspec import Struct

from rowcast.models.generation import generation_of
from rowcast.parameter import Parameter, with_fields
from rowcast.sampling_params import PARAMETERS
from rowcast.settings import Settings

_log = logging.getLogger("rowcast.loading")

FILE = "generation_config.json"
CONFIGURED = [each for each in PARAMETERS if each.configured]


@with_fields((each.name, each.type, each.default) for each in CONFIGURED)
class Defaults(Struct, frozen=True, kw_only=True):
    """The values of parameters that the request does not set; at first those of `PARAMETERS`."""


def defaults_for(settings: Settings, own: Mapping[str, Any]) -> Defaults:
    """Return a model's defaults; those of CONFIG_FILE override its own file's.

    Raises UnknownModel if CONFIG_FILE is wrong.
    """
    return defaults_of({**own, **generation_of(settings).sampling})


def defaults_of(words: Mapping[str, Any]) -> Defaults:
    """Return the file's values on top of the usual defaults."""
    taken = {}
    for each in CONFIGURED:
        name, value = each.name, words.get(each.name)
        if value is None:
            continue
        if not _allowed(each, value):
            _log.warning("%s %s=%r not_taken", FILE, name, value)
            continue
        taken[name] = max(0, int(value)) if each.type is int else float(value)
    if taken:
        _log.info("defaults %s", " ".join(f"{name}={value:g}" for name, value in taken.items()))
    return Defaults(**taken)


def _allowed(parameter: Parameter, value: object) -> bool:
    """True for a number within the parameter's range; a whole one, if its type is."""
    if not isinstance(value, int | float) or isinstance(value, bool) or not parameter.configured:
        return False
    least, most = parameter.configured
    return least <= value <= most and (parameter.type is float or value == int(value))
