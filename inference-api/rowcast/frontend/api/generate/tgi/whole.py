"""TGI's answer without a stream: the text, and on request the details of every token."""

import msgspec
from msgspec import UNSET, Raw, UnsetType, structs

from rowcast.frontend.api.generate.tgi.request import Wanted
from rowcast.frontend.api.generate.tgi.tokens import (
    TokenReader,
    finish_reason,
    likeliest,
    prefill,
)
from rowcast.frontend.api.generate.tgi.types import (
    BestOfSequence,
    Details,
    FinishReason,
    GenerateResponse,
    ReplyDetails,
    Token,
)
from rowcast.frontend.api.openai.response.logprobs import Encoded
from rowcast.frontend.reply.replies import Replies
from rowcast.frontend.response import JSON, Response, closed_once_sent
from rowcast.frontend.response import whole as whole_response
from rowcast.frontend.turns import in_turns
from rowcast.text.tokens.tokenizer import decoded

_encode = msgspec.json.Encoder().encode


def answer(wanted: Wanted, replies: Replies, *, listed: bool) -> Response:
    """Return the answer once all replies have ended. `listed`: as a list of one."""

    def encoded() -> Response:
        response = Answer(wanted, replies).response()
        return whole_response(_encode([response] if listed else response), JSON)

    return closed_once_sent(encoded, replies.close)


class Answer:
    """The replies to one body."""

    def __init__(self, wanted: Wanted, replies: Replies) -> None:
        self._wanted = wanted
        self._replies = replies
        self._tokens = [ReadTokens(wanted) for _ in replies]

    def response(self) -> GenerateResponse:
        """Wait for the end and return the best reply."""
        texts = self._replies.texts(self._add)
        (best,) = self._replies.likeliest(range(len(texts)), 1)
        text = self._text(best, texts[best])
        if not self._wanted.parameters.shows_details:
            return GenerateResponse(generated_text=self._wanted.before + text)
        others = [self._sequence(at, each) for at, each in enumerate(texts) if at != best]
        details = Details(
            **structs.asdict(self._details(best, text)), best_of_sequences=others or UNSET
        )
        return GenerateResponse(generated_text=self._wanted.before + text, details=details)

    def _add(self, at: int) -> None:
        """Store the new tokens of a reply."""
        self._tokens[at].add(self._replies, at)

    def _text(self, at: int, text: str) -> str:
        """Return a reply's text, with the stop sequence that ended it."""
        reply = self._replies[at]
        if not self._wanted.prompt.stop or self._replies.ending(at).reason == "length":
            return text
        return decoded(self._wanted.served.tokenizer, reply.choice.tokens[: reply.tokens])

    def _sequence(self, at: int, text: str) -> BestOfSequence:
        whole = self._text(at, text)
        details = structs.asdict(self._details(at, whole))
        return BestOfSequence(generated_text=self._wanted.before + whole, **details)

    def _details(self, at: int, text: str) -> ReplyDetails:
        reason = finish_reason(self._replies.ending(at), text, self._wanted.prompt.stop)
        tokens = self._tokens[at]
        tokens.end(reason)
        return ReplyDetails(
            finish_reason=reason,
            generated_tokens=tokens.count,
            seed=self._wanted.seed,
            prefill=self._prefill(at),
            tokens=tokens.all(),
            top_tokens=tokens.top(),
        )

    def _prefill(self, at: int) -> Raw:
        encoded, wanted = Encoded(), self._wanted
        if wanted.parameters.decoder_input_details:
            prompt, scored = wanted.prompt.tokens, self._replies[at].scored
            for each in prefill(wanted.served.tokenizer, prompt, scored):
                encoded.add([each])
        return encoded.all()


class ReadTokens:
    """The tokens of one reply, encoded as they arrive."""

    def __init__(self, wanted: Wanted) -> None:
        self._tokenizer = wanted.served.tokenizer
        self._shown = wanted.parameters.shows_details
        self._likeliest = wanted.parameters.top_n_tokens or 0
        self._reader = TokenReader(self._tokenizer)
        self._tokens, self._top = Encoded(), Encoded()
        self._last: Token | None = None  # not encoded yet: text may be added to it

    @property
    def count(self) -> int:
        return self._reader.count

    def add(self, replies: Replies, at: int) -> None:
        """Store the new tokens of a reply."""
        if not self._shown:
            return
        for place in in_turns(replies[at].places()):
            self._put(self._reader.read(place))
            if self._likeliest:
                self._top.add([likeliest(self._tokenizer, place, self._likeliest)])

    def end(self, reason: FinishReason) -> None:
        """Store the end-of-text token, or the text held back until the end."""
        if reason == "eos_token" or self._last is None:
            self._put(self._reader.end_token())
        else:
            self._last.text += self._reader.finish()

    def all(self) -> Raw:
        """Return the list of tokens."""
        self._put(None)
        return self._tokens.all()

    def _put(self, token: Token | None) -> None:
        if self._last is not None:
            self._tokens.add([self._last])
        self._last = token

    def top(self) -> Raw | UnsetType:
        """Return the likeliest tokens at each place, if they were requested."""
        return self._top.all() if self._likeliest else UNSET
