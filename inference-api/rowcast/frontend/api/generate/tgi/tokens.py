"""Tokens in TGI's form, in the order in which they arrive.

A token's text is what it adds to the text of the reply: nothing for a special token, or for one
that does not complete a character. As in TGI, the text includes the stop sequence that ended it.
"""

from collections.abc import Iterator, Sequence

from rowcast.frontend.api.generate.tgi.types import FinishReason, PrefillToken, Token
from rowcast.frontend.api.openai.response.logprobs import LEAST
from rowcast.frontend.reply.text import Ending, Place
from rowcast.frontend.turns import in_turns
from rowcast.text.tokens.tokenizer import Tokenizer


class TokenReader:
    """The tokens of one reply, and their text so far."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._decoder = tokenizer.decoder()
        self._texts: list[str] = []
        self.count = 0

    @property
    def text(self) -> str:
        """The text of the tokens read."""
        return "".join(self._texts)

    def read(self, place: Place) -> Token:
        """Return the next token."""
        text = self._decoder.feed([place.token])
        self._texts.append(text)
        self.count += 1
        special = self._tokenizer.is_special(place.token)
        return Token(place.token, text, _shown(place.logprob), special)

    def finish(self) -> str:
        """Return the text held back until the end, such as half a character."""
        self._texts.append(self._decoder.finish())
        return self._texts[-1]

    def end_token(self) -> Token:
        """Return the end-of-text token; TGI lists it with the others."""
        self.count += 1
        return Token(self._tokenizer.end or 0, self.finish(), None, special=True)


def likeliest(tokenizer: Tokenizer, place: Place, count: int) -> list[Token]:
    """Return the likeliest tokens at a place."""
    return [
        Token(token, token_text(tokenizer, token), _shown(logprob), tokenizer.is_special(token))
        for token, logprob in place.top[:count]
    ]


def prefill(
    tokenizer: Tokenizer, prompt: Sequence[int], scored: Sequence[Place]
) -> Iterator[PrefillToken]:
    """Yield the tokens of a prompt."""
    first = Place(prompt[0], None)
    for place in in_turns([first, *scored]):
        text = token_text(tokenizer, place.token)
        yield PrefillToken(place.token, text, _shown(place.logprob))


def token_text(tokenizer: Tokenizer, token: int) -> str:
    """Return the text of one token alone."""
    return tokenizer.token_bytes(token).decode(errors="replace")


def finish_reason(ending: Ending, text: str, stop: Sequence[str]) -> FinishReason:
    """Return TGI's finish reason. `text` includes the stop sequence that ended it, if any."""
    if ending.reason == "length":
        return "length"
    return "stop_sequence" if any(each in text for each in stop) else "eos_token"


def _shown(logprob: float | None) -> float | None:
    return None if logprob is None else max(logprob, LEAST)
