"""Tool calls in a reply's text, found while the text is arriving.

Models write calls in a form that their chat template teaches:

    tagged   <tool_call>{"name": "f", "arguments": {…}}</tool_call>, any number of times
    bare     {"name": "f", "parameters": {…}} instead of any text

`ToolReader.feed(text)` returns text, the names of calls that begin, and their arguments piece by
piece; joined, the pieces do not depend on where the text was cut. Anything that looks like a call
but is not one remains text. `tool_rule.py` has the grammars of calls, `call_beginning.py` the place
from which they apply.
"""

import json
import re
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from typing import AnyStr, Final, Literal

from msgspec import Struct

from rowcast.text.json_value import JsonValue

_HEAD = re.compile(
    r'\s*\{\s*"name"\s*:\s*"(?P<name>(?:[^"\\]|\\.)*)"\s*,'
    r'\s*"(?:arguments|parameters)"\s*:\s*(?=\{)'
)
_BEGINNING: Final = '{"name":"'
_HEAD_LIMIT: Final = 500  # characters within which a call must give its name
_GAP: Final = 64  # characters of white space between an opening mark and the brace


FormName = Literal["tagged", "bare"]


@dataclass(frozen=True, slots=True)
class Form:
    """How calls are written."""

    name: FormName
    opening: str
    closing: str
    arguments: str  # their name in the object


TAGGED = Form("tagged", "<tool_call>", "</tool_call>", "arguments")
BARE = Form("bare", "", "", "parameters")
FORMS: Final[dict[str, Form]] = {form.name: form for form in (TAGGED, BARE)}


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


Found = TextPart | CallStart | CallArguments


def form_of(template: str) -> Form:
    """Return the form that a chat template teaches."""
    return TAGGED if TAGGED.opening in template else BARE


class ToolReader:
    """Splits one reply's text into text and calls."""

    def __init__(self, form: Form, names: Collection[str], *, several: bool = True) -> None:
        self._form = form
        self._names = frozenset(names)
        self._several = several
        self._held = ""
        self._after_call = False
        self._arguments = JsonValue()
        self._state: Callable[[], list[Found] | None] = (
            self._read_text if form.opening else self._read_head
        )
        self.calls = 0

    @property
    def unfinished(self) -> bool:
        """True if a call has begun whose arguments have not ended."""
        return self._state == self._read_arguments

    def feed(self, text: str) -> list[Found]:
        """Return what this text adds."""
        self._held += text
        found: list[Found] = []
        while self._held and (step := self._state()) is not None:
            found += step
        return found if self._several else [each for each in found if not _is_second(each)]

    def finish(self) -> list[Found]:
        """Return the text held back until the end of the reply."""
        held, self._held = self._held, ""
        if self._state == self._read_tail:
            return []  # part of a call's end
        opening = self._form.opening if self._state == self._read_head else ""
        return [TextPart(opening + held)] if held or opening else []

    def _read_text(self) -> list[Found] | None:
        """Read up to the next opening mark; hold back text that may become one."""
        if self._after_call:
            self._held = self._held.lstrip()  # drop white space between calls
            self._after_call = not self._held
        if self._form.opening[0] not in self._held:
            return self._read_plain()  # nothing here may become a mark
        text, opening, behind = self._held.partition(self._form.opening)
        if opening:
            self._held, self._state = behind, self._read_head
            return [TextPart(text)] if text else []
        held = begun(text, self._form.opening)
        self._held, text = text[len(text) - held :], text[: len(text) - held]
        return [TextPart(text)] if text else None

    def _read_plain(self) -> list[Found] | None:
        """Read text in which no call begins."""
        held, self._held = self._held, ""
        return [TextPart(held)] if held else None

    def _read_head(self) -> list[Found] | None:
        """Read up to the beginning of the arguments."""
        head = head_of(self._held)
        tagged = bool(self._form.opening)
        stray = tagged and brace_at(self._held) == -1  # a mark that no call follows
        if head is not None and not stray and (tagged or head["name"] in self._names):
            return self._begin(head)
        if not stray and may_be_head(self._held):
            return None
        self._state = self._read_text if tagged else self._read_plain
        return [TextPart(self._form.opening)] if tagged else []

    def _begin(self, head: re.Match[str]) -> list[Found]:
        self._held = self._held[head.end() :]
        self._arguments = JsonValue()
        self._state = self._read_arguments
        self.calls += 1
        return [CallStart(self.calls - 1, json.loads(f'"{head["name"]}"'))]

    def _read_arguments(self) -> list[Found] | None:
        taken = self._arguments.feed(self._held)
        text, self._held = self._held[:taken], self._held[taken:]
        if self._arguments.ended:
            self._state = self._read_tail
        return [CallArguments(self.calls - 1, text)] if text else None

    def _read_tail(self) -> list[Found] | None:
        """Read the object's brace and the closing mark, with space around them."""
        behind = _behind(self._held, ("}", self._form.closing))
        if behind is None:
            return None
        self._held = self._held[behind:]
        self._after_call = True
        self._state = self._read_text if self._form.opening else self._read_plain
        return []


def _is_second(found: Found) -> bool:
    return not isinstance(found, TextPart) and found.index > 0


def head_of(text: str) -> re.Match[str] | None:
    """Return the head of a call, up to its arguments, if the text begins with one."""
    return _HEAD.match(text)


def may_be_head(held: str) -> bool:
    """True if this may still become the head of a call."""
    squeezed = "".join(held.split())
    begins = squeezed.startswith(_BEGINNING) or _BEGINNING.startswith(squeezed)
    return begins and len(held) <= _HEAD_LIMIT


def brace_at(behind: str) -> int | None:
    """Return the place of the brace that follows an opening mark; -1 if something else does.

    None: more text is needed to know it.
    """
    at = len(behind) - len(behind.lstrip(" \t\r\n"))
    if at > _GAP:
        return -1
    if at == len(behind):
        return None
    return at if behind[at] == "{" else -1


def begun(text: AnyStr, word: AnyStr) -> int:
    """Return how many characters at the end of a text may begin a word."""
    tail = text[max(0, len(text) - len(word) + 1) :]
    at = tail.find(word[:1])
    while at >= 0 and not word.startswith(tail[at:]):
        at = tail.find(word[:1], at + 1)
    return len(tail) - at if at >= 0 else 0


def _behind(text: str, expected: Sequence[str]) -> int | None:
    """Return the place after these words; None if more text is needed to know it."""
    at = 0
    for word in filter(None, expected):
        at += len(text[at:]) - len(text[at:].lstrip())
        if not text.startswith(word, at):
            return None if word.startswith(text[at:]) else at
        at += len(word)
    return at
