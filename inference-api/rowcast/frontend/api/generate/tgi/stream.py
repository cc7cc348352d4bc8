"""TGI's stream: an event for each token; the last one has the whole text and the details.

    data: {"index":1,"token":{"id":280,"text":" leti",…},"generated_text":null,"details":null}

Events have ids, so a stream can be resumed. A reply that the model ends has one more event, for its
end-of-text token. A stream that fails ends with `{"error", "error_type"}`.
"""

from collections.abc import Iterator, Sequence

import msgspec

from rowcast.errors import NotReady, ReplyFailed
from rowcast.frontend.api.events import SILENT, event_of
from rowcast.frontend.api.generate.errors import tgi_error_event
from rowcast.frontend.api.generate.tgi.request import Wanted
from rowcast.frontend.api.generate.tgi.tokens import TokenReader, finish_reason, likeliest
from rowcast.frontend.api.generate.tgi.types import (
    FinishReason,
    StreamDetails,
    StreamResponse,
    Token,
)
from rowcast.frontend.reply.positions import Cursor, Stage
from rowcast.frontend.reply.replies import Replies
from rowcast.frontend.reply.text import Ending, Place

_encode = msgspec.json.Encoder().encode


def events(wanted: Wanted, replies: Replies, cursor: Cursor, silence: float) -> Iterator[bytes]:
    """Yield the events that the reader does not have yet."""
    yield b""
    tokens, reply = TokenEvents(wanted), replies[0]
    try:
        for arrived in replies.rounds(silence):
            if not arrived:
                yield SILENT
                continue
            replies.check(0)
            yield b"".join(
                event_of(_encode(each), place=cursor.id())
                for each in tokens.read(reply.places(), reply.ending)
                if cursor.advance(0, each.index, _stage_of(each))
            )
    except (ReplyFailed, NotReady) as failure:
        yield tgi_error_event(failure.status, str(failure), failure)


def _stage_of(event: StreamResponse) -> Stage:
    return Stage.TEXT if event.generated_text is None else Stage.ENDED


class TokenEvents:
    """The events of one reply."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._tokenizer = wanted.served.tokenizer
        self._reader = TokenReader(self._tokenizer)
        self._limit = self._longest()
        self._held: StreamResponse | None = None  # the last token, until the end is known

    def read(self, places: Sequence[Place], ending: Ending | None) -> Iterator[StreamResponse]:
        """Yield the events of new tokens, and of the end once it is known."""
        for at, place in enumerate(places, 1):
            event = self._event(self._reader.read(place), place)
            if self._is_last(ending if at == len(places) else None):
                self._held = event
            else:
                yield event
        if ending is not None:
            yield self._last(ending)

    def _longest(self) -> int:
        """Return the maximum length of the reply, in tokens."""
        prompt, context = self._wanted.prompt, self._wanted.served.context_length
        most = prompt.params.max_tokens
        return most if context is None else min(most, context - len(prompt.tokens))

    def _is_last(self, ending: Ending | None) -> bool:
        """True if the token just read is the last one. `ending`: set if no more tokens follow."""
        return self._reader.count == self._limit or (
            ending is not None and self._reason(ending) != "eos_token"
        )

    def _reason(self, ending: Ending) -> FinishReason:
        return finish_reason(ending, self._reader.text, self._wanted.prompt.stop)

    def _event(self, token: Token, place: Place | None = None) -> StreamResponse:
        event = StreamResponse(index=self._reader.count, token=token)
        count = self._wanted.parameters.top_n_tokens
        if count and place is not None:
            event.top_tokens = likeliest(self._tokenizer, place, count)
        return event

    def _last(self, ending: Ending) -> StreamResponse:
        event = self._held
        if event is None:
            event = self._event(self._reader.end_token())
        else:
            event.token.text += self._reader.finish()
        text = self._reader.text
        event.generated_text = self._wanted.before + text
        if self._wanted.parameters.details:
            event.details = StreamDetails(
                finish_reason=self._reason(ending),
                generated_tokens=self._reader.count,
                seed=self._wanted.seed,
                input_length=len(self._wanted.prompt.tokens),
            )
        return event
