"""One token a byte, and one for the end: the tokenizer of the model that needs no file."""

import codecs
from collections.abc import Sequence

from rowcast.text.byte_level import spelled
from rowcast.text.tokenizer import END_NAME

BYTES = 256


class ByteDecoder:
    """Joins bytes; never breaks a character. Tokens past the bytes say nothing."""

    def __init__(self) -> None:
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, tokens: Sequence[int]) -> str:
        return self._utf8.decode(bytes(token for token in tokens if token < BYTES))

    def finish(self) -> str:
        return self._utf8.decode(b"", final=True)


class ByteTokenizer:
    """Text as its bytes."""

    vocabulary = BYTES + 1

    def encode(self, text: str, *, special: bool = True) -> tuple[int, ...]:  # noqa: ARG002
        return tuple(text.encode())

    def decoder(self) -> ByteDecoder:
        return ByteDecoder()

    def token_bytes(self, token: int) -> bytes:
        return bytes([token]) if token < BYTES else b""

    def token_name(self, token: int) -> str:
        return spelled(self.token_bytes(token)) if token < BYTES else END_NAME
