"""Logs to standard error: one line per event, as text or JSON; never a prompt, reply or secret.

What a line looks like is in `rowcast_telemetry.log_lines`.
"""

import logging
import sys
from _thread import RLock

from rowcast_telemetry.log_lines import JsonLines, LogFormat


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


def configure(level: str, form: LogFormat = "text") -> None:
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
        handler.setFormatter(JsonLines() if form == "json" else Logfmt())
        logger.addHandler(handler)
