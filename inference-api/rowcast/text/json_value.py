"""Finds where a JSON value ends while its text is still coming.

`JsonValue.feed(text)` takes what belongs to the value and says how much that was. It follows braces
and strings, no more: whether it is good JSON is for who reads it.
"""


class JsonValue:
    """One object or list, from its first brace or bracket on."""

    def __init__(self) -> None:
        self.ended = False
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def feed(self, text: str) -> int:
        """How many characters of `text` belong to the value."""
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
