"""A decoder that shows some special tokens, which a model's text omits, by their names."""

from collections.abc import Mapping, Sequence

from rowcast.text.tokens.tokenizer import Decoder, Tokenizer


class ShowingDecoder:
    """The text of one reply, with the names of some tokens in it."""

    def __init__(self, tokenizer: Tokenizer, shown: Mapping[int, str]) -> None:
        self._tokenizer = tokenizer
        self._shown = shown
        self._decoder = tokenizer.decoder()

    def feed(self, tokens: Sequence[int]) -> str:
        return "".join(map(self._feed_one, tokens))

    def finish(self) -> str:
        return self._decoder.finish()

    def _feed_one(self, token: int) -> str:
        name = self._shown.get(token)
        if name is None:
            return self._decoder.feed([token])
        before, self._decoder = self._decoder.finish(), self._tokenizer.decoder()
        return before + name


def decoder_for(tokenizer: Tokenizer, shown: Sequence[tuple[int, str]]) -> Decoder:
    """Return a decoder that shows these tokens; the tokenizer's own if there are none."""
    return ShowingDecoder(tokenizer, dict(shown)) if shown else tokenizer.decoder()
