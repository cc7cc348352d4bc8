"""Where calls begin in a reply, so that a grammar can apply from there on.

    tagged   "Let me see. <tool_call>" white space "{"           ─▶ {
    bare     {"name": "weather", "parameters": {                 ─▶ {"name":"weather","parameters":{

Each form of `forms/` knows the place; the text before it is free. `Finder.find` follows a reply
token by token, and returns the call's beginning in the spelling that the grammar knows, with the
bytes that the last token adds to it. It ignores reasoning, and finds the same beginnings as
`ToolReader`, which reads the text. A `Beginning` is sent inside the grammar that it belongs to.
"""

import codecs
import json
from dataclasses import dataclass
from enum import Enum
from typing import Any, Final

import msgspec

from rowcast.text.chat.forms import FORMS
from rowcast.text.chat.forms.form import PLAIN, TEXT, Opened, Place, Sought, begun

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

    form: str
    names: tuple[str, ...] = ()  # of the tools, for a form that needs them
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
    beginning = msgspec.convert(msgspec.json.decode(grammar)[_KEY], Beginning)
    if beginning.form not in FORMS:
        raise ValueError(f"no calls are written in the form {beginning.form!r}")
    return beginning


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
    place: Place = TEXT  # in the text


_PLAIN: Final = State(Mode.PLAIN)


class Finder:
    """Finds where calls begin."""

    def __init__(self, beginning: Beginning) -> None:
        self.beginning = beginning
        self.form = FORMS[beginning.form]
        self._quiet: dict[Place, State] = {}  # states with nothing held
        signs = self.form.signs_of_calls
        self._signs = {place: sign.encode() for place, sign in signs.items()}

    @property
    def start(self) -> State:
        """The state before the reply."""
        thought = self.beginning.thought
        if thought is None:
            return self._at(self.form.start)
        return State(Mode.THOUGHT if thought.inside else Mode.START)

    @property
    def after_call(self) -> State:
        """The state after a call."""
        return self._at(self.form.after_call)

    def find(self, state: State, data: bytes, *, is_mark: bool = False) -> tuple[State, bytes]:
        """Follow more of the reply; return the new state, and a call's beginning, if any.

        `is_mark`: the data is a token that stands for a mark.
        """
        if state.mode is Mode.PLAIN or self._is_quiet(state, data):
            return state, b""
        mode, held = self._behind_thought(state.mode, state.held + data)
        if mode is not Mode.TEXT:
            return State(mode, held), b""
        place = state.place if state.mode is Mode.TEXT else self.form.start
        return self._seek(place, held, is_mark)

    def _at(self, place: Place) -> State:
        """Return the state of a place with nothing held."""
        if place == PLAIN:
            return _PLAIN
        found = self._quiet.get(place)
        if found is None:
            found = self._quiet[place] = State(Mode.TEXT, place=place)
        return found

    def _is_quiet(self, state: State, data: bytes) -> bool:
        """True if no call can begin in these bytes, as in nearly all of a text."""
        if state.held or state.mode is not Mode.TEXT:
            return False
        sign = self._signs.get(state.place)
        return sign is not None and sign not in data

    def _seek(self, place: Place, held: bytes, is_mark: bool) -> tuple[State, bytes]:
        """Read the text as the form does, up to a call or to what needs more text."""
        text, incomplete = _text(held)
        while True:
            sought = self.form.seek(place, text)
            if sought.opening is not None:
                gate = self.form.gate(self._opened(sought.rest, sought.opening, is_mark))
                if gate.call is not None:
                    return self.after_call, _bytes(gate.call) + incomplete
                if gate.held is not None:
                    return self._holding(place, _bytes(gate.held) + incomplete), b""
                sought = Sought(sought.rest, place=self.form.after_stray)
            elif not sought.rest:
                matters = sought.place not in self._signs
                return self._holding(sought.place, incomplete if matters else b""), b""
            elif sought.place == place and len(sought.rest) == len(text):
                return self._holding(place, _bytes(text) + incomplete), b""
            place, text = sought.place, sought.rest

    def _opened(self, text: str, opening: str, is_mark: bool) -> Opened:
        certain = is_mark and not text
        return Opened(text, self.beginning.names, opening, certain=certain)

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

    def _holding(self, place: Place, held: bytes) -> State:
        """Return the state of a place with text held back."""
        return State(Mode.TEXT, held, place) if held else self._at(place)


def _stripped(held: bytes) -> bytes:
    text, rest = _text(held)
    return _bytes(text.lstrip()) + rest


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogateescape")


def _text(held: bytes) -> tuple[str, bytes]:
    """Return the text of whole characters, and the bytes of one that is incomplete."""
    text, count = codecs.utf_8_decode(held, "surrogateescape", False)
    return text, held[count:]
