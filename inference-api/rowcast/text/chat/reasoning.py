"""Reasoning before a reply: which part of a text it is, and rules that apply after it.

Models that think write `<think>…</think>` first, in the form that their chat template knows; models
of gpt-oss's form write to an "analysis" channel first, and then to the "final" one. How a reply
begins depends on the prompt: it may end with `<think>` (the reply is already inside), or with
`</think>` (there is no reasoning); otherwise the model may open a block itself. `ReasoningReader`
splits a text as it arrives, and drops white space around both parts. `after` makes a grammar of
"reasoning, then text that follows this rule".
"""

import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final

from msgspec import structs

from rowcast.text.chat.call_beginning import Thought, beginning_of, with_beginning
from rowcast.text.tokens.tokenizer import Tokenizer, decoded

_SPACE: Final = r"/[ \t\r\n]{0,8}/"


@dataclass(frozen=True, slots=True)
class Marks:
    """The marks around reasoning."""

    opening: str
    closing: str
    instead: str = ""  # how a reply without reasoning begins
    sign: str = ""  # templates that contain this use these marks; default: `closing`

    def used_by(self, template: str) -> bool:
        """Return whether a chat template writes reasoning like this."""
        return (self.sign or self.closing) in template


KNOWN: Final = (
    Marks("<think>", "</think>"),
    Marks("[THINK]", "[/THINK]"),
    Marks(
        opening="<|channel|>analysis<|message|>",
        closing="<|end|><|start|>assistant<|channel|>final<|message|>",
        instead="<|channel|>final<|message|>",
        sign="<|channel|>final<|message|>",
    ),
)


class Start(Enum):
    """How a reply begins."""

    MAYBE = "the model may open a block"
    INSIDE = "the prompt has opened one"


@dataclass(frozen=True, slots=True)
class Thinking:
    """The reasoning that the replies to one prompt may begin with."""

    marks: Marks
    start: Start
    tokens: tuple[tuple[int, str], ...] = ()  # parts of marks that are one token, and their names
    hidden: tuple[tuple[int, str], ...] = ()  # those of them that a text omits

    @classmethod
    def of(cls, template: str, prompt: str) -> "Thinking | None":
        """Return the reasoning that may follow this prompt, where the reply begins; None if none
        may.
        """
        marks = _marks_of(template)
        end = prompt.rstrip()
        if marks is None or end.endswith(marks.closing):
            return None
        inside = end.endswith(marks.opening)
        return cls(marks, Start.INSIDE if inside else Start.MAYBE)

    @classmethod
    def within(cls, template: str, before: str) -> "Thinking | None":
        """Return the reasoning in a reply that continues `before`; None if there is none."""
        marks = _marks_of(template)
        if marks is None or before.rfind(marks.opening) <= before.rfind(marks.closing):
            return None
        return cls(marks, Start.INSIDE)

    def ended_by(self, closing: str) -> "Thinking":
        """Return reasoning that another mark ends, after which a reply may have calls."""
        return replace(self, marks=replace(self.marks, closing=closing, instead=""))

    @property
    def thought(self) -> Thought:
        """The marks, for rules that apply to each call in the text after the reasoning."""
        marks = self.marks
        inside = self.start is Start.INSIDE
        return Thought(marks.opening, marks.closing, marks.instead, inside)

    def spelt(self, tokenizer: Tokenizer) -> "Thinking":
        """Add the tokens by which this tokenizer spells the marks."""
        marks = (self.marks.opening, self.marks.closing, self.marks.instead)
        parts = dict.fromkeys(part for mark in marks for part in _parts(mark) if not part.isalpha())
        tokens = spelt(tokenizer, tuple(parts))
        return replace(self, tokens=tokens, hidden=hidden(tokenizer, tokens))


def spelt(tokenizer: Tokenizer, words: Sequence[str]) -> tuple[tuple[int, str], ...]:
    """Return the words that are a single token, each after its token.

    To llguidance such a token is special if it looks like a mark.
    """
    encoded = [(tokenizer.encode(word, special=False), word) for word in words if word]
    return tuple((tokens[0], word) for tokens, word in encoded if len(tokens) == 1)


def hidden(tokenizer: Tokenizer, tokens: Sequence[tuple[int, str]]) -> tuple[tuple[int, str], ...]:
    """Return those of the tokens that a text omits."""
    return tuple(each for each in tokens if not decoded(tokenizer, each[:1]))


def after(thinking: Thinking, grammar: str) -> str:
    """Return the grammar of a reply that may think, and then follows `grammar`."""
    first, *others = _grammars(grammar)
    if beginning := beginning_of(grammar):
        shown = (*beginning.shown, *thinking.tokens)
        begins = structs.replace(beginning, thought=thinking.thought, shown=shown)
        return with_beginning([first, *others], begins)
    parts = [{"lark_grammar": _lark(thinking)}, first | {"name": "reply"}, *others]
    return json.dumps({"grammars": parts})


def _lark(thinking: Thinking) -> str:
    """Return the grammar of the reasoning.

    A mark may be written in letters or as tokens of its own, which are different things to
    grammars.
    """
    marks = thinking.marks
    names = {part: f"<[{token}]>" for token, part in thinking.tokens}
    closing = _for_regex(marks.closing)
    ended, more = "text", []
    if by_tokens := _by_tokens(marks.closing, names):
        ended = "(text | token)"
        more.append(f"token: TEXT {by_tokens}")
        more.append(f"TEXT: /(?s:.*)/ & ~/(?s:.*){closing}(?s:.*)/")
    thought = "thought"
    if thinking.start is Start.MAYBE:
        instead = f" | {_mark(marks.instead, names)}" if marks.instead else ""
        thought = f"({_mark(marks.opening, names)} thought{instead})?"
    lines = [
        f"start: {thought} @reply",
        f"thought: {ended} {_SPACE}",
        f"text[lazy]: /(?s:.*){closing}/",
        *more,
    ]
    return "\n".join(lines)


def _mark(mark: str, names: Mapping[str, str]) -> str:
    """Return a mark in Lark, by letters or by tokens."""
    by_tokens = _by_tokens(mark, names)
    return f"({json.dumps(mark)} | {by_tokens})" if by_tokens else json.dumps(mark)


def _by_tokens(mark: str, names: Mapping[str, str]) -> str:
    """Return a mark in Lark by its tokens, with letters between them; "" if it has none."""
    parts = _parts(mark)
    spelt = " ".join(names.get(part, json.dumps(part)) for part in parts)
    return spelt if any(part in names for part in parts) else ""


def _parts(mark: str) -> list[str]:
    """Split a mark into pieces that may be tokens, and the letters between them."""
    return [part for part in re.split(r"(<\|[a-z]+\|>)", mark) if part]


def _marks_of(template: str) -> Marks | None:
    return next((each for each in KNOWN if each.used_by(template)), None)


def _grammars(grammar: str) -> list[dict[str, Any]]:
    """Return the parts of a grammar; it begins with the first."""
    if not grammar.lstrip().startswith("{"):
        return [{"lark_grammar": grammar}]
    parts: list[dict[str, Any]] = json.loads(grammar)["grammars"]
    return parts


def _for_regex(text: str) -> str:
    return "".join(char if char.isalnum() or char in "<>" else f"\\{char}" for char in text)


class ReasoningReader:
    """Splits one reply's text into the reasoning and the text after it."""

    def __init__(self, thinking: Thinking) -> None:
        self._marks = thinking.marks
        self._held = ""
        self._begun = False
        inside = thinking.start is Start.INSIDE
        self._state: Callable[[], tuple[str, str] | None] = (
            self._read_thought if inside else self._read_start
        )

    @property
    def thinking(self) -> bool:
        """True if the next text is reasoning."""
        return self._state == self._read_thought

    def feed(self, text: str) -> tuple[str, str]:
        """Return the reasoning, and the text after it, that this text adds."""
        self._held += text
        thought, rest = "", ""
        while (step := self._state()) is not None:
            thought, rest = thought + step[0], rest + step[1]
        return thought, rest

    def finish(self) -> tuple[str, str]:
        """Return the parts held back until the end of the reply."""
        held, self._held = self._held, ""
        if self.thinking:
            return held.rstrip(), ""
        return "", held if self._state == self._read_start else ""

    def _read_start(self) -> tuple[str, str] | None:
        """Read the opening mark, if the reply begins with it."""
        begin, marks = self._held.lstrip(), self._marks
        if begin.startswith(marks.opening):
            self._held = begin[len(marks.opening) :]
            self._state = self._read_thought
            return "", ""
        if marks.instead and begin.startswith(marks.instead):
            self._held = begin[len(marks.instead) :]
            self._state = self._read_gap
            return "", ""
        if marks.opening.startswith(begin) or marks.instead.startswith(begin):
            return None
        self._state = self._read_rest
        return "", ""

    def _read_thought(self) -> tuple[str, str] | None:
        if not self._begun:
            self._held = self._held.lstrip()
            self._begun = bool(self._held)
        thought, mark, rest = self._held.partition(self._marks.closing)
        if mark:
            self._held = rest
            self._state = self._read_gap
            return thought.rstrip(), ""
        free = self._held[: _mark_from(self._held, self._marks.closing)].rstrip()
        self._held = self._held[len(free) :]
        return (free, "") if free else None

    def _read_gap(self) -> tuple[str, str] | None:
        """Skip white space between the reasoning and the text."""
        self._held = self._held.lstrip()
        if not self._held:
            return None
        self._state = self._read_rest
        return "", ""

    def _read_rest(self) -> tuple[str, str] | None:
        held, self._held = self._held, ""
        return ("", held) if held else None


def _mark_from(text: str, mark: str) -> int:
    """Return where an ending of the text begins that may become the mark."""
    for at in range(max(0, len(text) - len(mark) + 1), len(text)):
        if mark.startswith(text[at:]):
            return at
    return len(text)
