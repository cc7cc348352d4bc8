"""Text from tokens that stand for bytes: joins them, and never splits a character."""

import codecs
from collections.abc import Callable, Sequence


class BytesDecoder:
    """The text of one reply."""

    def __init__(self, bytes_of: Callable[[int], bytes]) -> None:
        """`bytes_of`: the bytes of a token; empty for one that is not shown."""
        self._bytes_of = bytes_of
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, tokens: Sequence[int]) -> str:
        return self._utf8.decode(b"".join(map(self._bytes_of, tokens)))

    def finish(self) -> str:
        return self._utf8.decode(b"", final=True)
