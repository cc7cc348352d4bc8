"""The bytes of a model's tokens, for rules that follow a reply's text.

Special tokens have none: a reply's text omits them.
"""

from collections.abc import Callable
from functools import cached_property

from llguidance import LLTokenizer


class TokenBytes:
    """The bytes of each token, once the texts of the tokens are loaded."""

    def __init__(self, load: Callable[[], LLTokenizer]) -> None:
        self._load = load
        self._tokens: LLTokenizer | None = None
        self._bytes: dict[int, bytes] = {}

    @property
    def loaded(self) -> bool:
        """True if the texts are there."""
        return self._tokens is not None

    def load(self) -> LLTokenizer:
        """Return the texts of the tokens."""
        self._tokens = self._load()
        return self._tokens

    def of(self, token: int) -> bytes:
        """Return a token's bytes."""
        found = self._bytes.get(token)
        if found is None:
            tokens = self._tokens or self.load()
            special = tokens.is_special_token(token)
            found = self._bytes[token] = b"" if special else tokens.decode_bytes([token])
        return found

    @cached_property
    def bracing(self) -> tuple[tuple[int, bytes], ...]:
        """The tokens that go on after an opening brace, with their bytes."""
        tokens = self.load()
        all_bytes = ((token, self.of(token)) for token in range(tokens.vocab_size))
        return tuple([each for each in all_bytes if 0 <= each[1].find(b"{") < len(each[1]) - 1])

    def split(self, data: bytes) -> list[int]:
        """Return tokens that spell these bytes; an empty list if no tokens do."""
        tokens = self.load()
        found: list[int] = tokens.tokenize_bytes(data)
        return found if tokens.decode_bytes(found) == data else []
