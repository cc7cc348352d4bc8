"""The parts of a reply: reasoning, text, and tool calls."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class ReasoningPart:
    """Reasoning."""

    text: str


@dataclass(frozen=True, slots=True)
class TextPart:
    """Text that is not a call."""

    text: str


@dataclass(frozen=True, slots=True)
class CallStart:
    """The beginning of call number `index`."""

    index: int
    name: str


@dataclass(frozen=True, slots=True)
class CallArguments:
    """More of a call's arguments."""

    index: int
    text: str


Part = ReasoningPart | TextPart | CallStart | CallArguments
