"""Logs to standard error: one line per event, `key=value`; never a prompt, reply or secret."""

import logging
import sys
from _thread import RLock


class Logfmt(logging.Formatter):
    """Formats time, level, logger, and then the message unchanged."""

    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03d"

    def __init__(self) -> None:
        super().__init__(
            "%(asctime)s level=%(levelname)s logger=%(name)s pid=%(process)d %(message)s"
        )


class _ToStandardError(logging.StreamHandler):  # type: ignore[type-arg]
    """Writes each line under a lock of the operating system; see `configure`."""

    def createLock(self) -> None:  # noqa: N802  # logging's name
        self.lock = RLock()


def configure(level: str) -> None:
    """Send the logs of `rowcast` to standard error.

    Under gevent, logging gets gevent's locks, and two threads of its pool that log at once can wait
    for such a lock for ever. So this gives it locks of the operating system; a thread that holds
    one waits for nothing else.
    """
    logging._lock = RLock()  # type: ignore[attr-defined]  # noqa: SLF001
    logger = logging.getLogger("rowcast")
    logger.setLevel(level)
    logger.propagate = False
    if not logger.handlers:
        handler = _ToStandardError(sys.stderr)
        handler.setFormatter(Logfmt())
        logger.addHandler(handler)


def quoted(value: str) -> str:
    """Return a value on one line, quoted if it could be confused with the next key."""
    plain = value.isascii() and value.isprintable() and not set(value) & set(' ="\\')
    return value if plain and value else ascii(value)
