"""A model's own tokenizer, from its `tokenizer.json`.

Only the tokenizers library is used: a frontend loads no torch. `encode` adds what the model's
tokenizer adds (a beginning of text); special tokens are never shown.
"""

from collections.abc import Sequence

from tokenizers import Tokenizer as FastTokenizer
from tokenizers.decoders import DecodeStream

from rowcast.errors import UnknownModel
from rowcast.model_files import ModelFiles
from rowcast.text.token_bytes import TokenBytes

FILE = "tokenizer.json"


class HubDecoder:
    """The text of one reply; holds back the bytes of a character that is not complete yet."""

    def __init__(self, tokenizer: FastTokenizer) -> None:
        self._tokenizer = tokenizer
        self._stream = DecodeStream(skip_special_tokens=True)
        self._held: list[int] = []

    def feed(self, tokens: Sequence[int]) -> str:
        return "".join(map(self._feed_one, tokens))

    def finish(self) -> str:
        held, self._held = self._held, []
        text: str = self._tokenizer.decode(held, skip_special_tokens=True)
        return text

    def _feed_one(self, token: int) -> str:
        piece: str | None = self._stream.step(self._tokenizer, token)
        if piece is None:
            self._held.append(token)
            return ""
        self._held.clear()
        return piece


class HubTokenizer:
    """The tokenizer of one model."""

    def __init__(self, tokenizer: FastTokenizer) -> None:
        self._tokenizer = tokenizer
        self._bytes = TokenBytes(tokenizer)
        self.vocabulary: int = tokenizer.get_vocab_size()

    @classmethod
    def of(cls, files: ModelFiles) -> "HubTokenizer":
        """A model's, or a sentence that says why not."""
        path = files.find(FILE)
        if path is None:
            raise UnknownModel(
                f"MODEL {files.model!r} has no {FILE}; make one with "
                "transformers.AutoTokenizer.from_pretrained(…).save_pretrained(folder)"
            )
        try:
            return cls(FastTokenizer.from_file(str(path)))
        except Exception as error:
            raise UnknownModel(f"{path} cannot be read: {error}") from error

    def encode(self, text: str, *, special: bool = True) -> tuple[int, ...]:
        # encode_batch lets go of the interpreter's lock, encode does not.
        return tuple(self._tokenizer.encode_batch([text], add_special_tokens=special)[0].ids)

    def decoder(self) -> HubDecoder:
        return HubDecoder(self._tokenizer)

    def token_bytes(self, token: int) -> bytes:
        return self._bytes.of(token)

    def token_name(self, token: int) -> str:
        return self._tokenizer.id_to_token(token) or ""
