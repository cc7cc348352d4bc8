"""Lines of a log from named fields: `key=value` in text, the same names in JSON.

    log.info("%s", Fields(request="b763", prompt_tokens=20))
        … request=b763 prompt_tokens=20
        {"time": …, "level": "info", "logger": …, "pid": …, "request": "b763", "prompt_tokens": 20}

In JSON, every other line has its text as `message`, and a traceback as `exception`.
"""

import json
import logging
from datetime import UTC, datetime
from typing import Literal

LogFormat = Literal["text", "json"]


class Fields(dict[str, object]):
    """The fields of one line. `str` is their text."""

    def __str__(self) -> str:
        return " ".join(f"{name}={self.shown(value)}" for name, value in self.items())

    def shown(self, value: object) -> str:
        """Return a value as it is written in text: numbers with a point have one digit after it."""
        if isinstance(value, float):
            return f"{value:.1f}"
        return "-" if value is None else quoted(str(value))


class JsonLines(logging.Formatter):
    """Formats each record as one JSON object on one line; times are in UTC."""

    def format(self, record: logging.LogRecord) -> str:
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, object] = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "pid": record.process,
        }
        if isinstance(record.args, Fields):
            line |= {name: _rounded(value) for name, value in record.args.items()}
        else:
            line["message"] = record.getMessage()
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, default=str)


def _rounded(value: object) -> object:
    return round(value, 3) if isinstance(value, float) else value


def quoted(value: str) -> str:
    """Return a value on one line, quoted if it could be confused with the next key."""
    plain = value.isascii() and value.isprintable() and not set(value) & set(' ="\\')
    return value if plain and value else ascii(value)
