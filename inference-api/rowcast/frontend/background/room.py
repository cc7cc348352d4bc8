"""How many background requests may start now: they wait behind those who read.

None starts while a prompt waits for a row of any model, or while every row is taken. At most
`share` are computed at once, so the other rows are free for those who come. If these are not
enough, requests in the background give their rows back: what was computed of them is in their
streams, and goes on from there when there is room.
"""

from collections.abc import Iterable

from rowcast.wire import Status


def room(statuses: Iterable[Status | None], share: int, running: int) -> int:
    """Return how many requests may start; if negative, how many are to make room.

    `running`: how many this process computes already. Models that are not loaded have no status:
    the first request loads them.
    """
    known = [status for status in statuses if status is not None]
    if waiting := max((status.waiting for status in known), default=0):
        return -min(waiting, running)
    free = min((status.rows - status.seated for status in known), default=share)
    return max(0, min(share - running, free))


def share_of(rows: int, workers: int) -> int:
    """Return how many requests one of several processes computes at once."""
    return max(1, rows // workers) if rows else 0
