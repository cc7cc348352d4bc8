"""One token per byte, and one for the end: the tokenizer of the model that needs no file."""

from rowcast.text.tokens.byte_level import spelled
from rowcast.text.tokens.bytes_decoder import BytesDecoder
from rowcast.text.tokens.tokenizer import END_NAME

BYTES = 256


class ByteTokenizer:
    """Tokenizes text as its bytes."""

    vocabulary = BYTES + 1
    end = BYTES

    def encode(self, text: str, *, special: bool = True) -> tuple[int, ...]:  # noqa: ARG002
        return tuple(text.encode())

    def encode_pair(self, first: str, second: str) -> tuple[int, ...]:
        return self.encode(first + second)

    def least_tokens(self, text: str) -> int:
        return len(text.encode())

    def decoder(self) -> BytesDecoder:
        return BytesDecoder(self.token_bytes)

    def token_bytes(self, token: int) -> bytes:
        return bytes([token]) if token < BYTES else b""

    def token_name(self, token: int) -> str:
        return spelled(self.token_bytes(token)) if token < BYTES else END_NAME

    def is_special(self, token: int) -> bool:
        return token >= BYTES
