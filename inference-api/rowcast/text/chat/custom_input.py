"""The input of a custom tool, from the arguments in which models write it: `{"input": "…"}`.

`InputText.feed(piece)` returns the text that a piece of the arguments adds, wherever the pieces are
cut. Arguments of any other form are the input, unchanged.
"""

import json
import re
from collections.abc import Callable

_HEAD = re.compile(r'\s*\{\s*"input"\s*:\s*"')
_BEGINNING = '{"input":"'
_HEAD_LIMIT = 200
_PLAIN = re.compile(r'[^"\\]+')
_ESCAPE = re.compile(r"\\(?:u[dD][89abAB][0-9a-fA-F]{2}\\u[0-9a-fA-F]{4}|u[0-9a-fA-F]{4}|[^u])")
_HALF = re.compile(r"\\u[dD][89abAB][0-9a-fA-F]{2}")
_UNFINISHED = re.compile(r"(?:\\(?:u[0-9a-fA-F]{0,3})?)?")
_UNIT = 6  # characters of \\uXXXX


class InputText:
    """The input of one call."""

    def __init__(self) -> None:
        self._held = ""
        self._state: Callable[[], str | None] = self._read_head

    def feed(self, piece: str) -> str:
        """Return the text that this piece of the arguments adds."""
        self._held += piece
        released = []
        while (text := self._state()) is not None:
            released.append(text)
        return "".join(released)

    def finish(self) -> str:
        """Return the text held back until the end of the reply."""
        held, self._held = self._held, ""
        return held if self._state == self._read_head else ""

    def _read_head(self) -> str | None:
        head = _HEAD.match(self._held)
        if head is not None:
            self._held = self._held[head.end() :]
            self._state = self._read_string
            return ""
        if _BEGINNING.startswith("".join(self._held.split())) and len(self._held) < _HEAD_LIMIT:
            return None
        self._state = self._read_other
        return ""

    def _read_string(self) -> str | None:
        if not self._held:
            return None
        if self._held[0] == '"':
            self._state = self._read_end
            return ""
        plain = _PLAIN.match(self._held)
        if plain is not None:
            return self._take(plain.end())
        return self._read_escape()

    def _read_escape(self) -> str | None:
        """Return one escaped character; half of a surrogate pair waits for the other half."""
        escape = _ESCAPE.match(self._held)
        if escape is None:
            return self._take(1) if len(self._held) >= _UNIT else None
        if _HALF.fullmatch(escape[0]) and _UNFINISHED.fullmatch(self._held, _UNIT):
            return None
        text = self._take(escape.end())
        try:
            return str(json.loads(f'"{text}"')).encode(errors="replace").decode()
        except ValueError:
            return text

    def _take(self, count: int) -> str:
        taken, self._held = self._held[:count], self._held[count:]
        return taken

    def _read_other(self) -> str | None:
        return self._take(len(self._held)) or None

    def _read_end(self) -> str | None:
        self._held = ""
        return None
