"""Finds the end of a JSON value while its text is arriving.

`JsonValue.feed(text)` takes the characters that belong to the value and returns their number. It
follows only braces and strings; the reader of the value checks that it is valid JSON.
"""


class JsonValue:
    """An object or list, from its first brace or bracket on."""

    def __init__(self) -> None:
        self.ended = False
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def feed(self, text: str) -> int:
        """Return how many characters of `text` belong to the value."""
        for at, char in enumerate(text):
            if self.ended:
                return at
            self._take(char)
        return len(text)

    def _take(self, char: str) -> None:
        if self._in_string:
            self._in_string = self._escaped or char != '"'
            self._escaped = char == "\\" and not self._escaped
        elif char == '"':
            self._in_string = True
        elif char in "{[":
            self._depth += 1
        elif char in "}]":
            self._depth -= 1
            self.ended = self._depth <= 0
