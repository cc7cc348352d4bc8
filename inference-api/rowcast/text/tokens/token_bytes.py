"""The bytes that each token of a model's tokenizer stands for.

A tokenizer writes its vocabulary in one of two ways: bytes as printable characters (byte-level), or
text with a mark for a space and `<0x0A>` for single bytes. Its decoder tells which. Handles one
token at a time: the effects of a decoder on a whole text (a first space cut off) are not seen here.
"""

import json
import re
from functools import cache
from typing import Any

from tokenizers import Tokenizer as FastTokenizer

from rowcast.text.tokens.byte_level import characters

_BYTE = re.compile(r"<0x([0-9A-Fa-f]{2})>")
_SPACE = "\u2581"


class TokenBytes:
    """The bytes of one vocabulary."""

    def __init__(self, tokenizer: FastTokenizer) -> None:
        self._tokenizer = tokenizer
        self._found: dict[int, bytes] = {}
        decoder = _decoder_of(tokenizer)
        self.byte_level = decoder.get("type") == "ByteLevel"  # and nothing else
        self._spells_bytes = '"ByteLevel"' in json.dumps(decoder)
        self._added = {
            token: added.content for token, added in tokenizer.get_added_tokens_decoder().items()
        }

    def of(self, token: int) -> bytes:
        """Return the bytes of one token; those of an added token are its name."""
        found = self._found.get(token)
        if found is None:
            found = self._found[token] = self._of(token)
        return found

    def _of(self, token: int) -> bytes:
        if token in self._added:
            return self._added[token].encode()
        word = self._tokenizer.id_to_token(token)
        if word is None:
            return b""
        return _byte_level_bytes(word) if self._spells_bytes else _marked_bytes(word)


def _decoder_of(tokenizer: FastTokenizer) -> dict[str, Any]:
    """Return the decoder's part of `tokenizer.json`. All of it would take a third of parsing."""
    decoder = tokenizer.decoder
    return {} if decoder is None else json.loads(decoder.__getstate__())


def _byte_level_bytes(word: str) -> bytes:
    table = _printable()
    return b"".join(bytes([table[char]]) if char in table else char.encode() for char in word)


def _marked_bytes(word: str) -> bytes:
    byte = _BYTE.fullmatch(word)
    return bytes([int(byte[1], 16)]) if byte else word.replace(_SPACE, " ").encode()


@cache
def _printable() -> dict[str, int]:
    """Return the byte behind each character."""
    return {character: byte for byte, character in characters().items()}
