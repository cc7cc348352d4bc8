"""The exit statuses of launchers and backends, and of a server that gives up."""

REFUSED = 2  # the settings are wrong: a retry is useless
BROKEN = 3  # backends failed RESTART_LIMIT times in a row
GIVEN_UP = (REFUSED, BROKEN)


def describe_end(status: int) -> str:
    """Return how a process ended, from its exit status; negative: killed by this signal."""
    if status >= 0:
        return f"its process ended with status {status}"
    killed = "; it probably ran out of memory" if status == -9 else ""
    return f"its process was ended by signal {-status}{killed}"
