"""Text to token ids, and back piece by piece: the `Tokenizer` Protocol and the scripted model's.

A `Decoder` is the state of one reply: fed token ids, it gives printable text and keeps back the
bytes of a character that is not complete yet. It knows no stop sequences and no sessions.
"""

from collections.abc import Sequence
from typing import Protocol

from rowcast.scripted_vocabulary import END, TEXTS
from rowcast.text.tokens.byte_level import spelled
from rowcast.text.tokens.bytes_decoder import BytesDecoder

END_NAME = "<end>"  # of tokenizers that have no file


class Decoder(Protocol):
    """The text of one reply as its tokens come."""

    def feed(self, tokens: Sequence[int]) -> str:
        """The text that these tokens complete; may be empty."""

    def finish(self) -> str:
        """What was kept back, at the reply's end."""


class Tokenizer(Protocol):
    """One model's view of text."""

    vocabulary: int  # token ids are below

    def encode(self, text: str, *, special: bool = True) -> tuple[int, ...]:
        """The token ids of a prompt; `special`: with what the model's tokenizer adds to a text."""

    def least_tokens(self, text: str) -> int:
        """Return a number of tokens that the text has at least, without tokenizing it."""

    def decoder(self) -> Decoder:
        """A fresh decoder for one reply."""

    def token_bytes(self, token: int) -> bytes:
        """What one token stands for."""

    def token_name(self, token: int) -> str:
        """How the vocabulary spells one token: `ĠHello`, `▁Hello`, `<|im_end|>`."""


class ScriptedTokenizer:
    """One token a byte in; bytes, words and characters out."""

    vocabulary = len(TEXTS)

    def encode(self, text: str, *, special: bool = True) -> tuple[int, ...]:  # noqa: ARG002
        return tuple(text.encode())

    def least_tokens(self, text: str) -> int:
        return len(text.encode())

    def decoder(self) -> BytesDecoder:
        return BytesDecoder(TEXTS.__getitem__)

    def token_bytes(self, token: int) -> bytes:
        return TEXTS[token]

    def token_name(self, token: int) -> str:
        return spelled(TEXTS[token]) if token != END else END_NAME


def decoded(tokenizer: Tokenizer, tokens: Sequence[int]) -> str:
    """The text of these tokens."""
    decoder = tokenizer.decoder()
    return decoder.feed(tokens) + decoder.finish()
