"""Log-probabilities in the format of OpenAI's two routes.

Completions name tokens by their text, chat by their bytes as well. A token that is only part of a
character is named `bytes:\\xe2`, so two such tokens have different names.
"""

import math
from collections.abc import Iterator, Sequence

import msgspec

from rowcast.errors import InvalidField
from rowcast.frontend.api.openai.response.types import (
    ChatLogprobs,
    CompletionLogprobs,
    TokenLogprob,
    TopLogprob,
)
from rowcast.frontend.reply.text import Place
from rowcast.frontend.turns import in_turns
from rowcast.text.tokens.tokenizer import Tokenizer

MOST = 1 << 20  # log-probabilities per answer
LEAST = -9999.0  # stands for minus infinity, which JSON does not have
_BATCH = 16  # tokens encoded at once

_encode = msgspec.json.Encoder().encode


class Encoded:
    """A JSON array that is encoded as its items arrive.

    As Python objects, the log-probabilities of a large answer take ten times the memory, and the
    garbage collector stops all streams to traverse a million of them.
    """

    def __init__(self) -> None:
        self._text = bytearray()

    def __len__(self) -> int:
        return len(self._text)

    def add(self, items: Sequence[object]) -> None:
        """Append the items."""
        if items:
            self._text += b"," if self._text else b"["
            self._text += _encode(items)[1:-1]

    def all(self) -> msgspec.Raw:
        """Return the array."""
        return msgspec.Raw((self._text or b"[") + b"]")


class CompletionScores:
    """The scores of one choice of a completion."""

    def __init__(self, tokenizer: Tokenizer, likeliest: int) -> None:
        self._tokenizer = tokenizer
        self._likeliest = likeliest
        self._decoder = tokenizer.decoder()
        self._offset = 0
        self._tokens, self._logprobs, self._likely, self._offsets = (Encoded() for _ in range(4))

    def add(self, places: Sequence[Place]) -> None:
        """Store these tokens' scores for `all`."""
        for some in _batches(places):
            scores = self.of(some)
            self._tokens.add(scores.tokens)
            self._logprobs.add(scores.token_logprobs)
            self._likely.add(scores.top_logprobs or ())
            self._offsets.add(scores.text_offset)

    def all(self) -> CompletionLogprobs | None:
        """Return the scores of all tokens added; None if there are none."""
        if not self._tokens:
            return None
        likely = self._likely.all() if self._likeliest else None
        return CompletionLogprobs(
            self._tokens.all(), self._logprobs.all(), likely, self._offsets.all()
        )

    def of(self, places: Sequence[Place]) -> CompletionLogprobs:
        """Return the scores of these tokens."""
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
        """Return the offset of the token's text in the choice's."""
        at = self._offset
        self._offset += len(self._decoder.feed([token]))
        return at


class ChatScores:
    """The scores of one choice of a chat."""

    def __init__(self, tokenizer: Tokenizer, likeliest: int) -> None:
        self._tokenizer = tokenizer
        self._likeliest = likeliest
        self._added = Encoded()

    def add(self, places: Sequence[Place]) -> None:
        """Store these tokens' scores for `all`."""
        for some in _batches(places):
            self._added.add([self._scored(place) for place in some])

    def all(self) -> ChatLogprobs | None:
        """Return the scores of all tokens added; None if there are none."""
        return ChatLogprobs(self._added.all()) if self._added else None

    def of(self, places: Sequence[Place]) -> ChatLogprobs | None:
        """Return the scores of these tokens; None if there are none."""
        return ChatLogprobs([*map(self._scored, in_turns(places))]) if places else None

    def _scored(self, place: Place) -> TokenLogprob:
        likely = [self._named(*each) for each in place.top[: self._likeliest]]
        named = self._named(place.token, place.logprob or 0.0)
        return TokenLogprob(named.token, named.logprob, named.bytes, likely)

    def _named(self, token: int, logprob: float) -> TopLogprob:
        raw = list(self._tokenizer.token_bytes(token))
        return TopLogprob(token_text(self._tokenizer, token), _shown(logprob), raw)


def _batches(places: Sequence[Place]) -> Iterator[Sequence[Place]]:
    """Return the places a few at a time; other requests run in between."""
    starts = range(0, len(places), _BATCH)
    return in_turns(places[at : at + _BATCH] for at in starts)


def check_amount(replies: int, prompt: int, tokens: int, likeliest: int) -> None:
    """Refuse a request for more log-probabilities than one answer may hold."""
    amount = replies * (prompt + tokens) * (1 + likeliest)
    if amount > MOST:
        raise InvalidField(
            "logprobs",
            f"requests up to {amount} numbers: {replies} replies of {prompt + tokens} tokens with "
            f"{likeliest} alternatives each; the limit is {MOST}: lower max_tokens or the number "
            "of replies or alternatives",
        )


def token_text(tokenizer: Tokenizer, token: int) -> str:
    """Return a name for a token."""
    raw = tokenizer.token_bytes(token)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return "bytes:" + "".join(f"\\x{byte:02x}" for byte in raw)


def _finite(logprob: float | None) -> float | None:
    return None if logprob is None else _shown(logprob)


def _shown(logprob: float) -> float:
    return logprob if math.isfinite(logprob) else LEAST
