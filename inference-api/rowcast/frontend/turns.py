"""Long work cut into parts, between which other requests run."""

import time
from collections.abc import Iterable, Iterator
from typing import TypeVar

_Item = TypeVar("_Item")

PART_SECONDS = 0.005


def in_turns(items: Iterable[_Item]) -> Iterator[_Item]:
    """Yield items; after every few milliseconds of work on them, let other requests run."""
    began = time.monotonic()
    for item in items:
        yield item
        if time.monotonic() - began > PART_SECONDS:
            time.sleep(0)  # under gevent, other green threads run now
            began = time.monotonic()
