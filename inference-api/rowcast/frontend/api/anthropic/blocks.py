"""The content blocks of one reply: as events while it arrives, and joined as a whole.

Parts of a kind in a row are one block. A block of reasoning ends with its signature, which is a
digest of the reasoning: nothing needs to be verified when it comes back.
"""

import hashlib
from collections.abc import Iterable, Iterator
from typing import Any

from msgspec import Raw

from rowcast.frontend.api.anthropic.types import (
    BlockDelta,
    BlockEvent,
    BlockStart,
    BlockStop,
    Content,
    Delta,
    InputDelta,
    SignatureDelta,
    TextContent,
    TextDelta,
    ThinkingContent,
    ThinkingDelta,
    ToolUseContent,
)
from rowcast.text import bounded_json
from rowcast.text.chat.parts import CallStart, Part, ReasoningPart, TextPart

INVALID = "INVALID_JSON"  # the member with arguments that are not JSON


def call_id(stream: str, index: int) -> str:
    """Return the id of a call, the same whenever its stream is read."""
    digest = hashlib.blake2b(f"{stream}/{index}".encode(), digest_size=12)
    return f"toolu_{digest.hexdigest()}"


class BlockWriter:
    """Writes the blocks of one reply. `omits_thinking`: blocks of reasoning have no text."""

    def __init__(self, stream: str, *, omits_thinking: bool = False) -> None:
        self._stream = stream
        self._omits_thinking = omits_thinking
        self._index = -1
        self._open: Content | None = None
        self._digest = hashlib.blake2b()  # of the open reasoning

    def begin(self, block: Content) -> Iterator[BlockEvent]:
        """Yield the events that end the open block, and begin this one."""
        yield from self.finish()
        self._index += 1
        self._open = block
        self._digest = hashlib.blake2b(digest_size=32)
        yield BlockStart(self._index, block)

    def write(self, part: Part) -> Iterator[BlockEvent]:
        """Yield the events of a part of the reply."""
        if isinstance(part, CallStart):
            yield from self.begin(ToolUseContent(call_id(self._stream, part.index), part.name, {}))
        elif isinstance(part, ReasoningPart):
            if not isinstance(self._open, ThinkingContent):
                yield from self.begin(ThinkingContent("", ""))
            self._digest.update(part.text.encode())
            if not self._omits_thinking:
                yield self._delta(ThinkingDelta(part.text))
        elif isinstance(part, TextPart):
            if not isinstance(self._open, TextContent):
                yield from self.begin(TextContent(""))
            yield self._delta(TextDelta(part.text))
        else:
            yield self._delta(InputDelta(part.text))

    def finish(self) -> Iterator[BlockEvent]:
        """Yield the events that end the open block."""
        if self._open is None:
            return
        if isinstance(self._open, ThinkingContent):
            yield self._delta(SignatureDelta(self._digest.hexdigest()))
        self._open = None
        yield BlockStop(self._index)

    def _delta(self, delta: Delta) -> BlockDelta:
        return BlockDelta(self._index, delta)


def joined(events: Iterable[BlockEvent]) -> list[Content]:
    """Return the blocks that these events make."""
    blocks: list[Content] = []
    texts: list[list[str]] = []
    for event in events:
        if isinstance(event, BlockStart):
            blocks.append(event.content_block)
            texts.append([])
        elif isinstance(event, BlockDelta):
            match event.delta:
                case TextDelta(text=text) | ThinkingDelta(thinking=text):
                    texts[-1].append(text)
                case InputDelta(partial_json=text):
                    texts[-1].append(text)
                case SignatureDelta(signature=signature):
                    blocks[-1] = ThinkingContent("", signature)
    return [_filled(block, "".join(text)) for block, text in zip(blocks, texts, strict=True)]


def _filled(block: Content, text: str) -> Content:
    match block:
        case TextContent():
            return TextContent(text)
        case ThinkingContent(signature=signature):
            return ThinkingContent(text, signature)
        case ToolUseContent(id=name, name=tool):
            return ToolUseContent(name, tool, _arguments(text))


def _arguments(text: str) -> dict[str, Any] | Raw:
    """Return a call's arguments as they were written, if they are an object of JSON."""
    try:
        bounded_json.loads(text)
    except ValueError:
        return {INVALID: text}
    return Raw(text.encode())
