"""TGI's stream: an event for each token; the last one has the whole text and the details.

    data: {"index":1,"token":{"id":280,"text":" leti",…},"generated_text":null,"details":null}

Events have ids, so that a stream can be resumed. A reply that ends with the model's end of text has
one more event, for that token. A stream that fails ends with `{"error", "error_type"}`.
"""

from collections.abc import Iterator

import msgspec

from rowcast.errors import NotReady, ReplyFailed
from rowcast.frontend.api.events import SILENT, event_of
from rowcast.frontend.api.generate.errors import tgi_error_body
from rowcast.frontend.api.generate.tgi.request import Wanted
from rowcast.frontend.api.generate.tgi.tokens import TokenReader, finish_reason, likeliest
from rowcast.frontend.api.generate.tgi.types import StreamDetails, StreamResponse, Token
from rowcast.frontend.reply.positions import Cursor, Stage
from rowcast.frontend.reply.replies import Replies
from rowcast.frontend.reply.text import Ending, Place

_encode = msgspec.json.Encoder().encode


def events(wanted: Wanted, replies: Replies, cursor: Cursor, silence: float) -> Iterator[bytes]:
    """Yield the events that the reader does not have yet."""
    yield b""
    events_of = TokenEvents(wanted)
    try:
        for piece in replies.pieces(silence, singly=True):
            if piece is None:
                yield SILENT
                continue
            replies.check(0)
            reply = replies[0]
            for event in events_of.read(reply.places(), reply.ending):
                stage = Stage.ENDED if event.generated_text is not None else Stage.TEXT
                if cursor.advance(0, reply.tokens, stage):
                    yield event_of(_encode(event), place=cursor.id())
    except (ReplyFailed, NotReady) as failure:
        yield event_of(_encode(tgi_error_body(failure.status, str(failure), failure)))


class TokenEvents:
    """The events of one reply."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self._tokenizer = wanted.served.tokenizer
        self._reader = TokenReader(self._tokenizer)
        self._limit = self._longest()
        self._held: StreamResponse | None = None  # the last token that fits, until the end is known

    def read(self, places: list[Place], ending: Ending | None) -> Iterator[StreamResponse]:
        """Return the events of tokens that have arrived, and of the end once it is known."""
        for place in places:
            event = self._event(self._reader.read(place), place)
            if ending is None and self._reader.count < self._limit:
                yield event
            else:
                self._held = event
        if ending is not None:
            yield self._last(ending)

    def _longest(self) -> int:
        """Return the length at which the reply ends; no token comes after it."""
        prompt, context = self._wanted.prompt, self._wanted.served.context_length
        most = prompt.params.max_tokens
        return most if context is None else min(most, context - len(prompt.tokens))

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
                finish_reason=finish_reason(ending, text, self._wanted.prompt.stop),
                generated_tokens=self._reader.count,
                seed=self._wanted.seed,
                input_length=len(self._wanted.prompt.tokens),
            )
        return event
