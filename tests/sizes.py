"""How often the long tests try: enough for every change, or more in `LONG=1 make test`."""

import os

LONG = os.environ.get("LONG") == "1"


def often(usual: int, long: int) -> int:
    """Return the size of this run: `long` in `LONG=1 make test`."""
    return long if LONG else usual
