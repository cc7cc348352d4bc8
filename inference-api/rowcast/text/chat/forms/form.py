"""What a form of tool calls is: how calls are found in a reply, read, written, and sent back.

    text ──`seek`──▶ a call's opening ──`head`──▶ its name ──▶ its arguments ──`tail`──▶ text, or a
                            │                                                            next call
                            └──`gate`──▶ the place from which the grammar `one` applies

`ToolReader` splits a reply's text by a form; `Finder` finds where a grammar begins to apply;
`tool_rule.py` compiles the grammars. None of them knows a form by name. A form is a value of
`Form`, or of a class that replaces some of its methods. Texts are read as they arrive, and what
is found in them does not depend on where they were cut: so each decision to wait for more has a
bound, which is the same however much text is there.
"""

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Any, AnyStr, Final, Protocol

Place = str  # what a form knows of the text before, by a name of its own
TEXT: Final[Place] = "text"  # text in which a call may begin
PLAIN: Final[Place] = "plain"  # text in which none may begin any more

Message = Mapping[str, Any]


@dataclass(frozen=True, slots=True)
class Sought:
    """How far a text was read in search of a call."""

    rest: str  # not read yet: the call's head, or what needs more text
    text: str = ""  # what was read
    place: Place = TEXT  # where the rest is
    opening: str | None = None  # what was read of a call that may begin with the rest


@dataclass(frozen=True, slots=True)
class Opened:
    """Text after an opening, in which a call may begin."""

    text: str
    names: Collection[str]  # of the functions that may be called
    opening: str = ""
    certain: bool = False  # the opening is a token that stands for it
    another: bool = False  # it follows a call, with nothing but its tail between them


@dataclass(frozen=True, slots=True)
class Gate:
    """Whether a call begins after an opening; with neither, none does."""

    call: str | None = None  # the call's beginning, in the spelling that the grammar knows
    held: str | None = None  # what to read again once there is more text


@dataclass(frozen=True, slots=True)
class Head:
    """The head of a call, whose arguments begin at `end`."""

    name: str
    end: int


class NoHead(Enum):
    """A text that is not the head of a call."""

    YET = "more text may make it one"
    EVER = "it is text"


@dataclass(frozen=True, slots=True)
class Tail:
    """What ends a call: `end` characters. `another`: the head of a next call follows."""

    end: int
    another: bool = False


class Functions(Protocol):
    """The functions that a grammar lets a reply call, written in Lark."""

    @property
    def several(self) -> bool:
        """True if one reply may call several times."""

    def mark(self, mark: str) -> str:
        """Return a mark's spellings as alternatives: letters, and the token that stands for it."""

    def objects(self, arguments: str) -> str:
        """Return JSON of an object with a function's name, and its arguments by this name."""

    def each(self) -> Sequence[tuple[str, str]]:
        """Return each function's name, and JSON of its arguments."""


@dataclass(frozen=True, slots=True)
class Form(ABC):
    """How calls are written. The defaults are those of a form with a mark before each call."""

    name: str
    signs: tuple[str, ...] = ()  # a chat template that has all of them teaches this form
    opening: str = ""
    closing: str = ""
    arguments: str = "arguments"  # their name, in forms that write an object of name and arguments
    other_marks: tuple[str, ...] = ()  # that may be tokens, besides opening and closing
    start: Place = TEXT  # before a reply
    after_call: Place = TEXT
    after_stray: Place = TEXT  # after an opening without a call
    quiet_places: tuple[Place, ...] = (TEXT,)  # where an opening may be, and nothing else matters
    thoughts: tuple[Place, ...] = ()  # where text is reasoning
    repeats: bool = True  # another call may follow a call
    needs_names: bool = False  # to find where calls begin
    last_character: str = "{"  # with which a beginning of a call is one, unless a mark is a token
    reasoning_end: str = ""  # ends reasoning before calls; "": the mark that ends it before text

    @property
    def marks(self) -> tuple[str, ...]:
        """The texts that may be tokens of their own."""
        return tuple(filter(None, (self.opening, self.closing, *self.other_marks)))

    @property
    def signs_of_calls(self) -> dict[Place, str]:
        """The character without which text at a place goes on as it is, for most of a text."""
        return dict.fromkeys(self.quiet_places, self.opening[:1])

    def seek(self, place: Place, text: str) -> Sought:
        """Read up to the next opening; hold back text that may become one."""
        if place == PLAIN:
            return Sought("", text, PLAIN)
        before, opening, rest = text.partition(self.opening)
        if opening:
            return Sought(rest, before, opening=opening)
        held = len(text) - begun(text, self.opening)
        return Sought(text[held:], text[:held])

    @abstractmethod
    def gate(self, opened: Opened) -> Gate:
        """Return whether a call begins after an opening."""

    @abstractmethod
    def head(self, opened: Opened) -> Head | NoHead:
        """Return the head of a call."""

    def tail(self, text: str) -> Tail | None:
        """Return what follows the arguments of a call; None if more text is needed to know it."""
        end = behind(text, (self.closing,))
        return None if end is None else Tail(end)

    @abstractmethod
    def one(self, functions: Functions) -> str:
        """Return the grammar, in Lark, from the place that `gate` finds to where text goes on."""

    @abstractmethod
    def whole(self, functions: Functions) -> str:
        """Return the grammar, in Lark, of a reply that is calls."""

    def history(self, messages: Sequence[Message]) -> list[dict[str, Any]]:
        """Return earlier messages as the templates of this form take them."""
        return [dict(message) for message in messages]


def begun(text: AnyStr, word: AnyStr) -> int:
    """Return how many characters at the end of a text may begin a word."""
    tail = text[max(0, len(text) - len(word) + 1) :]
    at = tail.find(word[:1])
    while at >= 0 and not word.startswith(tail[at:]):
        at = tail.find(word[:1], at + 1)
    return len(tail) - at if at >= 0 else 0


def behind(text: str, expected: Sequence[str]) -> int | None:
    """Return the place after these words; None if more text is needed to know it."""
    at = 0
    for word in filter(None, expected):
        at += len(text[at:]) - len(text[at:].lstrip())
        if not text.startswith(word, at):
            return None if word.startswith(text[at:]) else at
        at += len(word)
    return at
