"""How long a model is to stay loaded after a request, as requested: a hint.

    {"keep_alive": 300}, {"keep_alive": "5m"}     seconds, or a number with ms, s, m or h
    {"keep_alive": 0}                             it may be unloaded at once
    {"keep_alive": -1}                            it stays, as far as the server allows

The entry of the file of models has the maximum; MODEL alone is always loaded.
"""

import re

from rowcast.errors import InvalidField

KEEP_ALIVE = r"^-?[0-9]{1,12}(\.[0-9]{1,6})?(ms|s|m|h)?$"
MOST = 1e9
_FORM = re.compile(r"(?P<number>-?[0-9]{1,12}(?:\.[0-9]{1,6})?)(?P<unit>ms|s|m|h)?")
_SECONDS = {None: 1.0, "ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}


def keep_alive_seconds(value: object) -> float | None:
    """Return the seconds; -1 for as long as possible, None if nothing was requested."""
    if value is None:
        return None
    if isinstance(value, str) and (found := _FORM.fullmatch(value)):
        seconds = float(found["number"]) * _SECONDS[found["unit"]]
    elif isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= MOST:
        seconds = float(value)
    else:
        raise InvalidField("keep_alive", 'must be seconds, or a text like "5m"; -1 for always')
    return min(seconds, MOST) if seconds >= 0 else -1.0
