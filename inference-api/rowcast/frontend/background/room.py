"""How many rows background requests may take now: they wait behind all others.

None starts while a prompt waits for a row of any model, or while every row, or the memory of rows,
is taken. They take at most `share` rows at once, so the others are free for other requests. If
these are not enough, background requests give their rows back. Their tokens so far are in their
streams, and the rest is computed once there is room again.
"""

from collections.abc import Iterable

from rowcast.wire import Status


def room(statuses: Iterable[Status | None], share: int, running: int) -> int:
    """Return how many rows more may be taken; if negative, how many must be given back.

    `running`: how many the requests take that this process computes already. What waits because
    they take more rows than there are is no other request. A model that is not loaded has no
    status; its first request loads it.
    """
    known = [status for status in statuses if status is not None]
    waiting = max((each.waiting - max(0, running - each.rows) for each in known), default=0)
    if waiting > 0:
        return -min(waiting, running)
    free = min((status.usable_rows for status in known), default=share)
    return max(0, min(share - running, free))


def share_of(rows: int, workers: int) -> int:
    """Return how many rows the requests of one of several processes take at once."""
    return max(1, rows // workers) if rows else 0
