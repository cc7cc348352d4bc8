"""How long a request would keep its model loaded afterwards: a hint.

    {"keep_alive": 300}, {"keep_alive": "5m"}     seconds, or a number with ms, s, m or h
    {"keep_alive": 0}                             it may be unloaded at once
    {"keep_alive": -1}                            it stays loaded as long as the server allows

The model's entry in the file of models has the maximum. A server's only model is always loaded.
"""

import re

from rowcast.errors import InvalidField

KEEP_ALIVE = r"^-?[0-9]{1,12}(\.[0-9]{1,6})?(ms|s|m|h)?$"
MOST = 1e9
_FORM = re.compile(KEEP_ALIVE)
_SECONDS = {"": 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def keep_alive_seconds(value: object) -> float | None:
    """Return the seconds; -1 for as long as possible, None if nothing was requested."""
    if value is None:
        return None
    if isinstance(value, str) and (found := _FORM.fullmatch(value)):
        unit = found[2] or ""
        seconds = float(value.removesuffix(unit)) * _SECONDS[unit]
    elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MOST:
        seconds = float(value)
    else:
        raise InvalidField("keep_alive", 'must be seconds, or a text like "5m"; -1 for always')
    return min(seconds, MOST) if seconds >= 0 else -1.0
