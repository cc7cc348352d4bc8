"""How many background requests may start now: they wait behind those who read.

None starts while a prompt waits for a row of any model, or while every row is taken. At most
`share` are computed at once, so the other rows are free for those who come. A request that has a
row keeps it until its end.
"""

from collections.abc import Iterable

from rowcast.wire import Status


def room(statuses: Iterable[Status | None], share: int, running: int) -> int:
    """Return how many requests may start. `running`: how many this process computes already.

    Models that are not loaded have no status: the first request loads them.
    """
    known = [status for status in statuses if status is not None]
    if any(status.waiting for status in known):
        return 0
    free = min((status.rows - status.seated for status in known), default=share)
    return max(0, min(share - running, free))


def share_of(rows: int, workers: int) -> int:
    """Return how many requests one of several processes computes at once."""
    return max(1, rows // workers) if rows else 0
