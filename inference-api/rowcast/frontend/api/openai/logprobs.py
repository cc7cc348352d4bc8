"""Log-probabilities as OpenAI's two routes tell them.

Completions name tokens by their text, chat also by their bytes. A token that is a part of a
character only is named `bytes:\\xe2`, so that two such tokens have two names.
"""

import math
from collections.abc import Sequence

from rowcast.errors import InvalidField
from rowcast.frontend.api.openai.answers import (
    ChatLogprobs,
    CompletionLogprobs,
    TokenLogprob,
    TopLogprob,
)
from rowcast.frontend.streaming import Place
from rowcast.frontend.turns import in_turns
from rowcast.text.tokenizer import Tokenizer

MOST = 1 << 20  # log-probabilities of one answer
_LEAST = -9999.0  # stands for minus infinity, which JSON does not know


class CompletionScores:
    """The tokens of one choice, as they come."""

    def __init__(self, tokenizer: Tokenizer, likeliest: int) -> None:
        self._tokenizer = tokenizer
        self._likeliest = likeliest
        self._decoder = tokenizer.decoder()
        self._offset = 0

    def of(self, places: Sequence[Place]) -> CompletionLogprobs:
        """What these tokens were worth."""
        return CompletionLogprobs(
            tokens=[token_text(self._tokenizer, place.token) for place in in_turns(places)],
            token_logprobs=[_finite(place.logprob) for place in places],
            top_logprobs=[self._top(each) for each in in_turns(places)]
            if self._likeliest
            else None,
            text_offset=[self._advance(place.token) for place in in_turns(places)],
        )

    def _top(self, place: Place) -> dict[str, float] | None:
        if place.logprob is None:
            return None
        named = [*place.top[: self._likeliest], (place.token, place.logprob)]
        found: dict[str, float] = {}
        for token, logprob in named:
            found.setdefault(token_text(self._tokenizer, token), _shown(logprob))
        return found

    def _advance(self, token: int) -> int:
        """Where the token's text begins in the choice's."""
        at = self._offset
        self._offset += len(self._decoder.feed([token]))
        return at


def chat_scores(tokenizer: Tokenizer, places: Sequence[Place], likeliest: int) -> ChatLogprobs:
    """The same for chat."""
    return ChatLogprobs(
        [
            TokenLogprob(
                token_text(tokenizer, place.token),
                _shown(place.logprob or 0.0),
                list(tokenizer.token_bytes(place.token)),
                [
                    TopLogprob(
                        token_text(tokenizer, token),
                        _shown(logprob),
                        list(tokenizer.token_bytes(token)),
                    )
                    for token, logprob in place.top[:likeliest]
                ],
            )
            for place in in_turns(places)
        ]
    )


def check_amount(replies: int, prompt: int, tokens: int, likeliest: int) -> None:
    """Refuse a request for more log-probabilities than one answer may hold."""
    amount = replies * (prompt + tokens) * (1 + likeliest)
    if amount > MOST:
        raise InvalidField(
            "logprobs",
            f"asks for up to {amount} numbers: {replies} replies of {prompt + tokens} tokens with "
            f"{likeliest} alternatives each; allowed are {MOST}: lower max_tokens or the number of "
            "replies or alternatives",
        )


def token_text(tokenizer: Tokenizer, token: int) -> str:
    """A name for a token."""
    raw = tokenizer.token_bytes(token)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)


def _finite(logprob: float | None) -> float | None:
    return None if logprob is None else _shown(logprob)


def _shown(logprob: float) -> float:
    return logprob if math.isfinite(logprob) else _LEAST
