"""One reply as a message: a whole one, or the events of its stream.

    message_start, content_block_start, content_block_delta …, content_block_stop, …,
    message_delta, message_stop

A reply that can only be text is one block, which begins with the message. Other replies are read
token by token, so that their events do not depend on timing.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from msgspec import UNSET, UnsetType

from rowcast.frontend.api.anthropic.blocks import BlockWriter, joined
from rowcast.frontend.api.anthropic.body import MessageBody, ThinkingDisabled
from rowcast.frontend.api.anthropic.types import (
    BlockDelta,
    BlockEvent,
    Content,
    Ended,
    Message,
    MessageDelta,
    MessageEvent,
    MessageStart,
    MessageStop,
    MessageUsage,
    OutputDetails,
    StopReason,
    TextContent,
    TextDelta,
)
from rowcast.frontend.api.chat_prompt import ChatPrompt
from rowcast.frontend.api.events import coalesced
from rowcast.frontend.reply.receipts import Receipt, receipt_of
from rowcast.frontend.reply.replies import Piece, Replies
from rowcast.frontend.request.prompt import Prompt
from rowcast.text.chat.parts import CallArguments, Part, ReasoningPart, TextPart
from rowcast.wire import Status


@dataclass(frozen=True, slots=True)
class Wanted:
    """A body, and what is derived from it."""

    body: MessageBody
    chat: ChatPrompt
    prompt: Prompt
    status: Status

    @property
    def omits_thinking(self) -> bool:
        """True if the text of reasoning is not to be sent."""
        thinking = self.body.thinking
        if thinking is None or isinstance(thinking, ThinkingDisabled):
            return False
        return thinking.display == "omitted"


class MessageView:
    """The reply to one body."""

    def __init__(self, wanted: Wanted, replies: Replies) -> None:
        self.replies = replies
        self.singly = wanted.chat.has_parts
        self._wanted = wanted
        self._reader = wanted.chat.reader()
        self._writer = BlockWriter(replies.origin.id, omits_thinking=wanted.omits_thinking)
        self._held: list[Part] = []  # of an unfinished chunk

    def begin(self) -> Iterator[MessageEvent]:
        """Yield the events before the first piece, once the reply has a row."""
        yield MessageStart(self._message([], self._usage(0)))
        yield from self._first_block()

    def piece(self, piece: Piece) -> Iterator[BlockEvent]:
        """Yield the events of more of the reply."""
        if not self.singly:
            if piece.text:
                yield BlockDelta(0, TextDelta(piece.text))
            return
        self._held += self._reader.feed(piece.text, self.replies[0].tokens)
        if piece.more:
            return
        held, self._held = self._held, []
        for part in merged(held):
            yield from self._writer.write(part)

    def end(self) -> Iterator[MessageEvent]:
        """Yield the events of the end."""
        yield from self._last_blocks()
        usage = self._usage(self.replies[0].tokens)
        yield MessageDelta(self._ended(), usage, self._receipt())
        yield MessageStop()

    def whole(self) -> Message:
        """Wait for the end, and return the message."""
        events: list[BlockEvent] = [*self._first_block()]
        for piece in self.replies.pieces(singly=self.singly):
            if piece is not None:
                self.replies.check(0)
                events += self.piece(piece)
        content = joined([*events, *self._last_blocks()])
        message = self._message(content, self._usage(self.replies[0].tokens))
        ended = self._ended()
        message.stop_reason, message.stop_sequence = ended.stop_reason, ended.stop_sequence
        message.receipt = self._receipt()
        return message

    def _first_block(self) -> Iterator[BlockEvent]:
        """Yield the beginning of the only block of a reply that can only be text."""
        return iter(()) if self.singly else self._writer.begin(TextContent(""))

    def _last_blocks(self) -> Iterator[BlockEvent]:
        """Yield the events that were held back until the end."""
        if self.singly:
            for part in merged([*self._held, *self._reader.finish()]):
                yield from self._writer.write(part)
        yield from self._writer.finish()

    def _message(self, content: list[Content], usage: MessageUsage) -> Message:
        return Message(
            id=f"msg_{self.replies.origin.id}",
            model=self._wanted.body.model,
            content=content,
            usage=usage,
        )

    def _usage(self, tokens: int) -> MessageUsage:
        cached = self.replies[0].cached_tokens()
        uncached = len(self._wanted.prompt.tokens) - cached
        usage = MessageUsage(uncached, tokens, cache_read_input_tokens=cached)
        if self._wanted.chat.thinking is not None:
            usage.output_tokens_details = OutputDetails(self._reader.reasoning_tokens)
        return usage

    def _ended(self) -> Ended:
        stop = self.replies[0].stop_sequence
        return Ended("stop_sequence", stop) if stop else Ended(self._reason())

    def _reason(self) -> StopReason:
        ending = self.replies.ending(0)
        if ending.reason == "length":
            full = ending.tokens < self._wanted.prompt.params.max_tokens
            return "model_context_window_exceeded" if full else "max_tokens"
        return "tool_use" if self._reader.called else "end_turn"

    def _receipt(self) -> Receipt | UnsetType:
        wanted = self._wanted
        if not wanted.body.receipt:
            return UNSET
        return receipt_of(wanted.status, wanted.prompt.stop, self.replies)


def merged(parts: Iterable[Part]) -> Iterator[Part]:
    """Return the same parts, with neighbours of one kind joined."""
    return coalesced(parts, _joined)


def _joined(first: Part, second: Part) -> Part | None:
    """Return both as one part if they are of one kind; otherwise None."""
    match first, second:
        case (TextPart(text), TextPart(more)):
            return TextPart(text + more)
        case (ReasoningPart(text), ReasoningPart(more)):
            return ReasoningPart(text + more)
        case (CallArguments(index, text), CallArguments(_, more)):
            return CallArguments(index, text + more)
    return None
