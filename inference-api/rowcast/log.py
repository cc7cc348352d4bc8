"""One line a thing, `key=value`, on standard error. Never a prompt, a reply or a secret."""

import logging
import sys


class Logfmt(logging.Formatter):
    """time, level, logger, then the message as it was written."""

    default_time_format = "%Y-%m-%dT%H:%M:%S"
    default_msec_format = "%s.%03d"

    def __init__(self) -> None:
        super().__init__(
            "%(asctime)s level=%(levelname)s logger=%(name)s pid=%(process)d %(message)s"
        )


def configure(level: str) -> None:
    """Send what `rowcast` logs to standard error."""
    logger = logging.getLogger("rowcast")
    logger.setLevel(level)
    logger.propagate = False
    if not logger.handlers:
        handler = logging.StreamHandler(sys.stderr)
        handler.setFormatter(Logfmt())
        logger.addHandler(handler)


def quoted(value: str) -> str:
    """A value that a reader can tell from the next key, on one line whatever it holds."""
    plain = value.isascii() and value.isprintable() and not set(value) & set(' ="\\')
    return value if plain and value else ascii(value)
