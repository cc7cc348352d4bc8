"""How often the long tests try: enough for every change, or more in `make test-long`."""

import os

LONG = os.environ.get("LONG") == "1"


def often(usual: int, long: int) -> int:
    """Return the size of this run: `long` in `make test-long`."""
    return long if LONG else usual
