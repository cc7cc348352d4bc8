"""Reads `local.env`, the file of variables beside a file of models.

    # a comment
    PORT=8000
    export PROXY_SECRET="quotes may hold spaces and #"   # another

Values are taken literally: nothing is expanded or run. No error shows a value. Knows no setting.
"""

import re
from collections.abc import Iterator
from pathlib import Path

NAME = "local.env"
BYTES = 1 << 16

_ASSIGNED = re.compile(r"\s*(?:export\s+)?([A-Za-z_]\w*)\s*=(.*)")
_QUOTED = re.compile(r"""\s*(?:'([^']*)'|"([^"]*)")\s*(?:#.*)?""")
_COMMENT = re.compile(r"(?:^|\s)#.*")


class InvalidVariables(ValueError):
    """The file cannot be read; the text says where, and what to change."""


def read_variables(file: Path) -> dict[str, str]:
    """Return the file's variables; none if there is no file. Raises InvalidVariables."""
    try:
        with file.open("rb") as opened:
            text = opened.read(BYTES + 1)
    except FileNotFoundError:
        return {}
    except OSError as error:
        raise InvalidVariables(f"{file}: cannot be read: {error.strerror}") from error
    if len(text) > BYTES:
        raise InvalidVariables(f"{file}: has more than {BYTES} bytes; shorten it")
    try:
        return dict(_variables(file, text.decode("utf-8-sig")))
    except UnicodeDecodeError as error:
        raise InvalidVariables(f"{file}: is not UTF-8; save it as UTF-8") from error


def _variables(file: Path, text: str) -> Iterator[tuple[str, str]]:
    for number, line in enumerate(text.splitlines(), 1):
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _ASSIGNED.fullmatch(line)
        value = _value(found[2]) if found else None
        if found is None or value is None:
            raise InvalidVariables(f'{file}:{number}: is not NAME=VALUE or NAME="VALUE"')
        yield found[1], value


def _value(text: str) -> str | None:
    """Return the value after `=`; None if a quote is not closed."""
    if text.lstrip()[:1] in {"'", '"'}:
        found = _QUOTED.fullmatch(text)
        return (found[1] or found[2] or "") if found else None
    return _COMMENT.sub("", text).strip()
