"""Logs to standard error: one line per event, `key=value`; never a prompt, reply or secret."""

import logging
import sys


class Logfmt(logging.Formatter):
    """Formats time, level, logger, and then the message unchanged."""

    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03d"

    def __init__(self) -> None:
        super().__init__(
            "%(asctime)s level=%(levelname)s logger=%(name)s pid=%(process)d %(message)s"
        )


def configure(level: str) -> None:
    """Send the logs of `rowcast` to standard error."""
    logger = logging.getLogger("rowcast")
    logger.setLevel(level)
    logger.propagate = False
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(Logfmt())
        logger.addHandler(handler)


def quoted(value: str) -> str:
    """Return a value on one line, quoted if it could be confused with the next key."""
    plain = value.isascii() and value.isprintable() and not set(value) & set(' ="\\')
    return value if plain and value else ascii(value)
