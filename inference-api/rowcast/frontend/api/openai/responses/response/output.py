"""The output of one reply: its items, and the events that build them, in the order of its tokens.

    reasoning ─▶ an item of reasoning      text ─▶ a message      a call ─▶ a function call

An item ends where the next one begins. All of it is a function of the reply's text, so a reply that
is read again gives the same events.
"""

import hashlib
from collections.abc import Iterable, Iterator

from rowcast.frontend.api.openai.response.calls import call_id
from rowcast.frontend.api.openai.responses.request.items import ItemStatus
from rowcast.frontend.api.openai.responses.response.events import Event, ItemDone
from rowcast.frontend.api.openai.responses.response.types import OutputItem
from rowcast.frontend.api.openai.responses.response.writers import (
    CallWriter,
    MessageWriter,
    ReasoningWriter,
    Scores,
    Writer,
)
from rowcast.text.chat.parts import CallArguments, CallStart, Part, ReasoningPart
from rowcast.text.chat.reply_reader import ReplyReader


class Output:
    """The output of one reply, as it is generated."""

    def __init__(self, reader: ReplyReader, response: str) -> None:
        """`response`: the response's id, from which those of the items are derived."""
        self.items: list[OutputItem] = []  # those that are complete
        self._reader = reader
        self._response = response
        self._writer: Writer | None = None

    @property
    def reasoning_tokens(self) -> int:
        """The number of tokens of reasoning so far."""
        return self._reader.reasoning_tokens

    def feed(self, text: str, tokens: int, scores: Scores = ()) -> list[Event]:
        """Return the events for this text; with it, the reply has `tokens` tokens."""
        return self._events(self._reader.feed(text, tokens), scores)

    def finish(self, status: ItemStatus) -> list[Event]:
        """Return the last events; an empty reply is an empty message."""
        events = self._events(self._reader.finish(), ())
        if self._writer is None:
            events += self._begin(MessageWriter(*self._place("msg")))
        return [*events, *self._end(status)]

    def _events(self, parts: Iterable[Part], scores: Scores) -> list[Event]:
        events: list[Event] = []  # no generator: most parts are one token
        for part in parts:
            if writer := self._new_writer(part):
                events += self._begin(writer)
            if not isinstance(part, CallStart) and self._writer is not None:
                events.append(self._writer.add(part.text, scores))
        return events

    def _new_writer(self, part: Part) -> Writer | None:
        """Return the writer of a new item; None if the part belongs to the one being written."""
        if isinstance(part, CallStart):
            call = call_id(self._response, 0, part.index)
            return CallWriter(*self._place("fc"), call, part.name)
        if isinstance(part, ReasoningPart):
            return self._other(ReasoningWriter, "rs")
        return None if isinstance(part, CallArguments) else self._other(MessageWriter, "msg")

    def _other(
        self, kind: type[MessageWriter] | type[ReasoningWriter], prefix: str
    ) -> Writer | None:
        return None if isinstance(self._writer, kind) else kind(*self._place(prefix))

    def _begin(self, writer: Writer) -> Iterator[Event]:
        yield from self._end("completed")
        self._writer = writer
        yield from writer.begin()

    def _end(self, status: ItemStatus) -> Iterator[Event]:
        writer, self._writer = self._writer, None
        for event in writer.end(status) if writer else ():
            if isinstance(event, ItemDone):
                self.items.append(event.item)
            yield event

    def _place(self, prefix: str) -> tuple[str, int]:
        """Return the id and number of the next item."""
        at = len(self.items) + (self._writer is not None)
        return item_id(prefix, self._response, at), at


def item_id(prefix: str, response: str, at: int) -> str:
    """Return the id of a response's item, the same in each of its events."""
    digest = hashlib.blake2b(f"{response}/{prefix}/{at}".encode(), digest_size=20)
    return f"{prefix}_{digest.hexdigest()}"
