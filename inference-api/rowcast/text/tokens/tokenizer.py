"""Text to token ids, and back piece by piece: the `Tokenizer` Protocol and the scripted model's.

A `Decoder` is the state of one reply: it turns token ids into printable text and holds back the
bytes of an incomplete character. It knows no stop sequences and no sessions.
"""

from collections.abc import Sequence
from typing import Protocol

from rowcast.scripted_vocabulary import END, TEXTS
from rowcast.text.tokens.byte_level import spelled
from rowcast.text.tokens.bytes_decoder import BytesDecoder

END_NAME = "<end>"  # for tokenizers without a file


class Decoder(Protocol):
    """The text of one reply as its tokens arrive."""

    def feed(self, tokens: Sequence[int]) -> str:
        """Return the text that these tokens complete; may be empty."""

    def finish(self) -> str:
        """Return the text held back until the end of the reply."""


class Tokenizer(Protocol):
    """One model's view of text."""

    vocabulary: int  # token ids are below

    @property
    def end(self) -> int | None:
        """A token that ends a text; None if the model's files name none."""

    def encode(self, text: str, *, special: bool = True) -> tuple[int, ...]:
        """Return a prompt's token ids. `special`: with all that the model's tokenizer adds."""

    def encode_pair(self, first: str, second: str) -> tuple[int, ...]:
        """Return the token ids of two texts, with all that the model's tokenizer adds to both."""

    def least_tokens(self, text: str) -> int:
        """Return a lower bound of the number of tokens, without tokenizing the text."""

    def decoder(self) -> Decoder:
        """Return a fresh decoder for one reply."""

    def token_bytes(self, token: int) -> bytes:
        """Return the bytes of one token."""

    def token_name(self, token: int) -> str:
        """Return the spelling of one token in the vocabulary: `ĠHello`, `▁Hello`, `<|im_end|>`."""

    def is_special(self, token: int) -> bool:
        """True for a token that a text omits."""


class ScriptedTokenizer:
    """One token per byte in; bytes, words and characters out."""

    vocabulary = len(TEXTS)
    end = END

    def encode(self, text: str, *, special: bool = True) -> tuple[int, ...]:  # noqa: ARG002
        return tuple(text.encode())

    def encode_pair(self, first: str, second: str) -> tuple[int, ...]:
        return self.encode(first + second)

    def least_tokens(self, text: str) -> int:
        return len(text.encode())

    def decoder(self) -> BytesDecoder:
        return BytesDecoder(TEXTS.__getitem__)

    def token_bytes(self, token: int) -> bytes:
        return TEXTS[token]

    def token_name(self, token: int) -> str:
        return spelled(TEXTS[token]) if token != END else END_NAME

    def is_special(self, token: int) -> bool:
        return token == END


def decoded(tokenizer: Tokenizer, tokens: Sequence[int]) -> str:
    """Return the text of these tokens."""
    decoder = tokenizer.decoder()
    return decoder.feed(tokens) + decoder.finish()
