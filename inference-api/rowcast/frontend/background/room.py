"""How many background requests may start now: they wait behind all others.

None starts while a prompt waits for a row of any model, or while every row, or the memory of rows,
is taken. At most `share` are computed at once, so the other rows are free for other requests. If
these are not enough, background requests give their rows back. Their tokens so far are in their
streams, and the rest is computed once there is room again.
"""

from collections.abc import Iterable

from rowcast.wire import Status


def room(statuses: Iterable[Status | None], share: int, running: int) -> int:
    """Return how many requests may start; if negative, how many must give their rows back.

    `running`: how many this process computes already. A model that is not loaded has no status; its
    first request loads it.
    """
    known = [status for status in statuses if status is not None]
    if waiting := max((status.waiting for status in known), default=0):
        return -min(waiting, running)
    free = min((status.usable_rows for status in known), default=share)
    return max(0, min(share - running, free))


def share_of(rows: int, workers: int) -> int:
    """Return how many requests one of several processes computes at once."""
    return max(1, rows // workers) if rows else 0
