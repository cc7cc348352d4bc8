"""Text to token ids, and back piece by piece: the `Tokenizer` Protocol and the scripted model's.

A `Decoder` is the state of one reply: fed token ids, it gives printable text and keeps back the
bytes of a character that is not complete yet. It knows no stop sequences and no sessions.
"""

import codecs
from collections.abc import Sequence
from typing import Protocol

from rowcast.scripted_vocabulary import END, TEXTS
from rowcast.text.byte_level import spelled

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

    def decoder(self) -> Decoder:
        """A fresh decoder for one reply."""

    def token_bytes(self, token: int) -> bytes:
        """What one token stands for."""

    def token_name(self, token: int) -> str:
        """How the vocabulary spells one token: `ĠHello`, `▁Hello`, `<|im_end|>`."""


class ScriptedDecoder:
    """Joins the bytes of tokens; never breaks a character."""

    def __init__(self) -> None:
        self._utf8 = codecs.getincrementaldecoder("utf-8")("replace")

    def feed(self, tokens: Sequence[int]) -> str:
        return self._utf8.decode(b"".join([TEXTS[token] for token in tokens]))

    def finish(self) -> str:
        return self._utf8.decode(b"", final=True)


class ScriptedTokenizer:
    """One token a byte in; bytes, words and characters out."""

    vocabulary = len(TEXTS)

    def encode(self, text: str, *, special: bool = True) -> tuple[int, ...]:  # noqa: ARG002
        return tuple(text.encode())

    def decoder(self) -> ScriptedDecoder:
        return ScriptedDecoder()

    def token_bytes(self, token: int) -> bytes:
        return TEXTS[token]

    def token_name(self, token: int) -> str:
        return spelled(TEXTS[token]) if token != END else END_NAME


def decoded(tokenizer: Tokenizer, tokens: Sequence[int]) -> str:
    """The text of these tokens."""
    decoder = tokenizer.decoder()
    return decoder.feed(tokens) + decoder.finish()
