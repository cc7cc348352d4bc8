"""Text from tokens that stand for bytes: joins them, and never splits a character."""

import codecs
from collections.abc import Callable, Sequence


class BytesDecoder:
    """The text of one reply."""

    def __init__(self, bytes_of: Callable[[int], bytes]) -> None:
        """`bytes_of`: the bytes of a token; empty for one that is not shown."""
        self._bytes_of = bytes_of
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")
        self._holds = False  # the beginning of a character

    def feed(self, tokens: Sequence[int]) -> str:
        data = b"".join(map(self._bytes_of, tokens))
        if not self._holds and data.isascii():  # most tokens of most texts
            return data.decode("ascii")
        text = self._utf8.decode(data)
        self._holds = bool(self._utf8.getstate()[0])
        return text

    def finish(self) -> str:
        return self._utf8.decode(b"", final=True)
