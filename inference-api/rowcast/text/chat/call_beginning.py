"""Where calls begin in a reply, so that a grammar can apply from there on.

    tagged   "Let me see. <tool_call>" white space "{"           ─▶ {
    bare     {"name": "weather", "parameters": {                 ─▶ {"name":"weather","parameters":{

A call begins with the brace; the text before it is free. `Finder.find` follows a reply token by
token, and returns the call's beginning in the spelling that the grammar knows, with the bytes that
the last token adds to it. It ignores reasoning, and finds the same beginnings as `ToolReader`,
which reads the text. A `Beginning` is sent inside the grammar that it belongs to.
"""

import codecs
import json
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import msgspec

from rowcast.text.chat.tool_calls import (
    BARE,
    FORMS,
    FormName,
    begun,
    brace_at,
    head_of,
    may_be_head,
)

_KEY: Final = "calls"
_PREFIX: Final = f'{{"{_KEY}"'


class Thought(msgspec.Struct, frozen=True):
    """The marks around the reasoning before a reply's text."""

    opening: str
    closing: str
    instead: str = ""
    inside: bool = False  # the reply begins inside of it


class Beginning(msgspec.Struct, frozen=True, omit_defaults=True):
    """How calls begin in the replies to one request."""

    form: FormName
    names: tuple[str, ...] = ()  # of the tools, for a form without an opening mark
    several: bool = False  # after a call, another one may begin
    thought: Thought | None = None
    shown: tuple[tuple[int, str], ...] = ()  # tokens that are marks, and the marks


def with_beginning(parts: list[dict[str, Any]], beginning: Beginning) -> str:
    """Return a grammar of these parts that applies to each call from its beginning on."""
    return json.dumps({_KEY: msgspec.to_builtins(beginning), "grammars": parts})


def beginning_of(grammar: str) -> Beginning | None:
    """Return where a grammar begins to apply; None: with the reply. Raises ValueError."""
    if not grammar.startswith(_PREFIX):
        return None
    return msgspec.convert(msgspec.json.decode(grammar)[_KEY], Beginning)


class Mode(Enum):
    """What a place of the reply belongs to."""

    START = "reasoning may begin"
    THOUGHT = "reasoning"
    GAP = "white space after the reasoning"
    TEXT = "text, in which a call may begin"
    PLAIN = "text without calls"


@dataclass(frozen=True, slots=True)
class State:
    """How far a reply has been followed; `held` may be the start of a mark or of a call."""

    mode: Mode
    held: bytes = b""


_TEXT: Final = State(Mode.TEXT)


class Finder:
    """Finds where calls begin."""

    def __init__(self, beginning: Beginning) -> None:
        self.beginning = beginning
        self._opening = FORMS[beginning.form].opening.encode()

    @property
    def start(self) -> State:
        """The state before the reply."""
        thought = self.beginning.thought
        if thought is None:
            return _TEXT
        return State(Mode.THOUGHT if thought.inside else Mode.START)

    @property
    def after_call(self) -> State:
        """The state after a call."""
        return _TEXT

    def find(self, state: State, data: bytes) -> tuple[State, bytes]:
        """Follow more of the reply; return the new state, and a call's beginning, if any."""
        if state.mode is Mode.PLAIN or (state is _TEXT and self._is_quiet(data)):
            return state, b""
        mode, held = self._behind_thought(state.mode, state.held + data)
        if mode is not Mode.TEXT:
            return State(mode, held), b""
        return self._bare(held) if self.beginning.form == BARE.name else self._tagged(held)

    def _is_quiet(self, data: bytes) -> bool:
        """True if no call can begin in these bytes, as in nearly all of a text."""
        return bool(self._opening) and self._opening[:1] not in data

    def _behind_thought(self, mode: Mode, held: bytes) -> tuple[Mode, bytes]:
        """Return what follows the reasoning, once it has ended."""
        if mode is Mode.START:
            mode, held = self._start(held)
        if mode is Mode.THOUGHT:
            mode, held = self._thought(held)
        if mode is Mode.GAP:
            held = _stripped(held)
            mode = Mode.TEXT if held else Mode.GAP
        return mode, held

    def _start(self, held: bytes) -> tuple[Mode, bytes]:
        """Return what follows an opening mark with which the reply begins."""
        thought = self.beginning.thought
        begin = _text(held)[0].lstrip()
        if thought is None:
            return Mode.TEXT, held
        if begin.startswith(thought.opening):
            return Mode.THOUGHT, held.partition(thought.opening.encode())[2]
        if thought.instead and begin.startswith(thought.instead):
            return Mode.GAP, held.partition(thought.instead.encode())[2]
        waits = thought.opening.startswith(begin) or thought.instead.startswith(begin)
        return Mode.START if waits else Mode.TEXT, held

    def _thought(self, held: bytes) -> tuple[Mode, bytes]:
        """Return what follows the reasoning."""
        closing = self.beginning.thought.closing.encode() if self.beginning.thought else b""
        _, mark, behind = held.partition(closing)
        if mark:
            return Mode.GAP, behind
        return Mode.THOUGHT, held[len(held) - begun(held, closing) :]

    def _tagged(self, held: bytes) -> tuple[State, bytes]:
        opening = self._opening
        while True:
            _, mark, behind = held.partition(opening)
            if not mark:
                left = held[len(held) - begun(held, opening) :]
                return (State(Mode.TEXT, left) if left else _TEXT), b""
            text = behind.decode("latin-1")  # each byte is a character
            at = brace_at(text)
            if at is None:  # white space is all alike, so there are few states
                return State(Mode.TEXT, opening + b" " * len(behind)), b""
            if at >= 0:
                return _TEXT, behind[at:]
            held = behind

    def _bare(self, held: bytes) -> tuple[State, bytes]:
        text, rest = _text(held)
        head = head_of(text)
        if head is not None and head["name"] in self.beginning.names:
            behind = text[head.end() :].encode(errors="surrogateescape") + rest
            written = f'{{"name":{json.dumps(head["name"])},"{BARE.arguments}":'
            return State(Mode.TEXT), written.encode() + behind
        if head is None and may_be_head(text):
            return State(Mode.TEXT, held), b""
        return State(Mode.PLAIN), b""


def _stripped(held: bytes) -> bytes:
    text, rest = _text(held)
    return text.lstrip().encode(errors="surrogateescape") + rest


def _text(held: bytes) -> tuple[str, bytes]:
    """Return the text of whole characters, and the bytes of one that is incomplete."""
    text, count = codecs.utf_8_decode(held, "surrogateescape", False)
    return text, held[count:]
