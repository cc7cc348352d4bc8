"""The parts of a reply: reasoning, text, and tool calls."""

from msgspec import Struct


class ReasoningPart(Struct, frozen=True):
    """Reasoning."""

    text: str


class TextPart(Struct, frozen=True):
    """Text that is not a call."""

    text: str


class CallStart(Struct, frozen=True):
    """The beginning of call number `index`."""

    index: int
    name: str


class CallArguments(Struct, frozen=True):
    """More of a call's arguments."""

    index: int
    text: str


Part = ReasoningPart | TextPart | CallStart | CallArguments
