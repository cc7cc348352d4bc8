"""The bytes of a model's tokens, for rules that follow a reply's text.

Special tokens have none: a reply's text omits them.
"""

from collections.abc import Callable

from llguidance import LLTokenizer


class TokenBytes:
    """The bytes of each token, once the texts of the tokens are loaded."""

    def __init__(self, load: Callable[[], LLTokenizer]) -> None:
        self._load = load
        self._tokens: LLTokenizer | None = None
        self._bytes: dict[int, bytes] = {}
        self._beyond: dict[bytes, tuple[tuple[int, bytes], ...]] = {}  # by character

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

    def beyond(self, character: bytes) -> tuple[tuple[int, bytes], ...]:
        """Return the tokens that go on after this character, with their bytes."""
        found = self._beyond.get(character)
        if found is None:
            tokens = self.load()
            all_bytes = ((token, self.of(token)) for token in range(tokens.vocab_size))
            found = tuple([each for each in all_bytes if _goes_on(each[1], character)])
            self._beyond[character] = found
        return found

    def split(self, data: bytes) -> list[int]:
        """Return tokens that spell these bytes; an empty list if no tokens do."""
        tokens = self.load()
        found: list[int] = tokens.tokenize_bytes(data)
        return found if tokens.decode_bytes(found) == data else []


def _goes_on(data: bytes, character: bytes) -> bool:
    """True if there is more after the first of this character."""
    return 0 <= data.find(character) < len(data) - 1
