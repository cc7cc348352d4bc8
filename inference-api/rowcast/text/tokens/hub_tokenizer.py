"""A model's own tokenizer, from its `tokenizer.json`.

Only the tokenizers library is used: a frontend loads no torch. `encode` adds what the model's
tokenizer adds (a beginning of text); special tokens are never shown. Decoding a token takes the
same time, whatever came before.
"""

import json
from collections.abc import Collection, Sequence
from functools import cached_property

from tokenizers import Tokenizer as FastTokenizer
from tokenizers.decoders import DecodeStream

from rowcast.errors import UnknownModel
from rowcast.model_files import ModelFiles
from rowcast.text.tokens.bytes_decoder import BytesDecoder
from rowcast.text.tokens.longest_token import longest_token
from rowcast.text.tokens.token_bytes import TokenBytes

FILE = "tokenizer.json"
CONFIGS = ("generation_config.json", "config.json")  # the first of them decides
MOST_HELD = 32  # tokens without a complete character; the longest character has four bytes


class StreamDecoder:
    """The text of one reply, by the library's decoder.

    For each new token, the library decodes all tokens that it holds back again. It would hold
    special tokens back until a visible one arrives, so these are not passed to it, and tokens held
    too long are released as they are.
    """

    def __init__(self, tokenizer: FastTokenizer, special: Collection[int]) -> None:
        self._tokenizer = tokenizer
        self._special = special
        self._stream = DecodeStream(skip_special_tokens=True)
        self._held: list[int] = []
        self._last: list[int] = []  # the token that ended the last complete character

    def feed(self, tokens: Sequence[int]) -> str:
        return "".join([self._feed_one(token) for token in tokens if token not in self._special])

    def finish(self) -> str:
        held, self._held = self._held, []
        text: str = self._tokenizer.decode(held, skip_special_tokens=True)
        return text

    def _feed_one(self, token: int) -> str:
        piece: str | None = self._stream.step(self._tokenizer, token)
        if piece is not None:
            self._held.clear()
            self._last = [token]
            return piece
        self._held.append(token)
        if len(self._held) < MOST_HELD:
            return ""
        self._stream = DecodeStream(ids=self._last, skip_special_tokens=True)
        return self.finish()


def end_of(files: ModelFiles) -> int | None:
    """Return the first end-of-text token that a model's files name."""
    for name in CONFIGS:
        ends = files.words(name).get("eos_token_id")
        first = ends[0] if isinstance(ends, list) and ends else ends
        if type(first) is int:
            return first
    return None


class HubTokenizer:
    """The tokenizer of one model."""

    def __init__(self, tokenizer: FastTokenizer, end: int | None = None) -> None:
        self._tokenizer = tokenizer
        self.end = end
        self._bytes = TokenBytes(tokenizer)
        self.vocabulary: int = tokenizer.get_vocab_size()
        added = tokenizer.get_added_tokens_decoder()
        self._special = frozenset(token for token, each in added.items() if each.special)

    @classmethod
    def of(cls, files: ModelFiles) -> "HubTokenizer":
        """Load a model's tokenizer. Raises UnknownModel with the reason if that fails."""
        path = files.find(FILE)
        if path is None:
            raise UnknownModel(
                f"MODEL {files.model!r} has no {FILE}; make one with "
                "transformers.AutoTokenizer.from_pretrained(…).save_pretrained(folder)"
            )
        try:
            return cls(FastTokenizer.from_file(str(path)), end_of(files))
        except Exception as error:  # tokenizers raises no other class
            raise UnknownModel(f"{path} cannot be read: {error}") from error

    def encode(self, text: str, *, special: bool = True) -> tuple[int, ...]:
        # encode_batch releases the GIL, encode does not.
        return tuple(self._tokenizer.encode_batch([text], add_special_tokens=special)[0].ids)

    def encode_pair(self, first: str, second: str) -> tuple[int, ...]:
        return tuple(self._tokenizer.encode_batch([(first, second)])[0].ids)

    def least_tokens(self, text: str) -> int:
        return len(text.encode()) // self._longest if self._longest else 0

    def decoder(self) -> BytesDecoder | StreamDecoder:
        if self._bytes.byte_level:
            return BytesDecoder(self._shown_bytes)
        return StreamDecoder(self._tokenizer, self._special)

    def token_bytes(self, token: int) -> bytes:
        return self._bytes.of(token)

    def token_name(self, token: int) -> str:
        return self._tokenizer.id_to_token(token) or ""

    def is_special(self, token: int) -> bool:
        return token in self._special

    def json(self) -> str:
        """Return the contents of `tokenizer.json`."""
        text: str = self._tokenizer.to_str()
        return text

    def _shown_bytes(self, token: int) -> bytes:
        return b"" if token in self._special else self._bytes.of(token)

    @cached_property
    def _longest(self) -> int:
        return longest_token(json.loads(self._tokenizer.to_str()), self._tokenizer.get_vocab())
