"""Reasoning before a reply: which part of a text it is, and rules that begin after it.

Models that think write `<think>…</think>` first, in the form that their chat template knows. How a
reply begins, the prompt tells: it may end with `<think>` (the reply is inside already), or with
`</think>` (there is no reasoning); else the model may open a block itself. `ThoughtReader` splits a
text while it is still coming; white space around both parts is nobody's. `after` makes a grammar
of "reasoning, then what follows this rule".
"""

import json
from collections.abc import Callable
from dataclasses import dataclass, replace
from enum import Enum
from typing import Any, Final

from rowcast.text.tokenizer import Tokenizer, decoded

_SPACE: Final = r"/[ \t\r\n]{0,8}/"


@dataclass(frozen=True, slots=True)
class Marks:
    """What stands around reasoning."""

    opening: str
    closing: str


KNOWN: Final = (Marks("<think>", "</think>"), Marks("[THINK]", "[/THINK]"))


class Start(Enum):
    """How a reply begins."""

    MAYBE = "the model may open a block"
    INSIDE = "the prompt has opened one"


@dataclass(frozen=True, slots=True)
class Thinking:
    """The reasoning that the replies to one prompt may begin with."""

    marks: Marks
    start: Start
    tokens: tuple[tuple[int, str], ...] = ()  # marks that are one token, and their names
    hidden: tuple[tuple[int, str], ...] = ()  # those of them that a text leaves out

    @classmethod
    def of(cls, template: str, prompt: str) -> "Thinking | None":
        """After this prompt, which ends where the reply begins; None where there is none."""
        marks = next((each for each in KNOWN if each.closing in template), None)
        end = prompt.rstrip()
        if marks is None or end.endswith(marks.closing):
            return None
        inside = end.endswith(marks.opening)
        return cls(marks, Start.INSIDE if inside else Start.MAYBE)

    @classmethod
    def within(cls, template: str, said: str) -> "Thinking | None":
        """In a reply that goes on with what was `said`."""
        marks = next((each for each in KNOWN if each.closing in template), None)
        if marks is None or said.rfind(marks.opening) <= said.rfind(marks.closing):
            return None
        return cls(marks, Start.INSIDE)

    def spelt(self, tokenizer: Tokenizer) -> "Thinking":
        """With the tokens by which this tokenizer spells the marks."""
        marks = (self.marks.opening, self.marks.closing)
        spelt = [(tokenizer.encode(mark, special=False), mark) for mark in marks]
        tokens = tuple((tokens[0], mark) for tokens, mark in spelt if len(tokens) == 1)
        hidden = tuple(each for each in tokens if not decoded(tokenizer, each[:1]))
        return replace(self, tokens=tokens, hidden=hidden)


def after(thinking: Thinking, grammar: str) -> str:
    """The grammar of a reply that may think, and then follows `grammar`."""
    first, *others = _grammars(grammar)
    parts = [{"lark_grammar": _lark(thinking)}, first | {"name": "reply"}, *others]
    return json.dumps({"grammars": parts})


def _lark(thinking: Thinking) -> str:
    """A mark may come as letters or as a token of its own, which to grammars is another thing."""
    marks = thinking.marks
    tokens = {mark: f"<[{token}]>" for token, mark in thinking.tokens}
    closing = _for_regex(marks.closing)
    opened, ended, more = json.dumps(marks.opening), "text", []
    if marks.opening in tokens:
        opened = f"({opened} | {tokens[marks.opening]})"
    if marks.closing in tokens:
        ended = "(text | token)"
        more.append(f"token: TEXT {tokens[marks.closing]}")
        more.append(f"TEXT: /(?s:.*)/ & ~/(?s:.*){closing}(?s:.*)/")
    thought = f"({opened} thought)?" if thinking.start is Start.MAYBE else "thought"
    lines = [
        f"start: {thought} @reply",
        f"thought: {ended} {_SPACE}",
        f"text[lazy]: /(?s:.*){closing}/",
        *more,
    ]
    return "\n".join(lines)


def _grammars(grammar: str) -> list[dict[str, Any]]:
    """A grammar's parts; the first is where it begins."""
    if not grammar.lstrip().startswith("{"):
        return [{"lark_grammar": grammar}]
    parts: list[dict[str, Any]] = json.loads(grammar)["grammars"]
    return parts


def _for_regex(text: str) -> str:
    return "".join(char if char.isalnum() or char in "<>" else f"\\{char}" for char in text)


class ThoughtReader:
    """One reply's text, parted into reasoning and what follows it."""

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
        """Whether what comes next is reasoning."""
        return self._state == self._read_thought

    def feed(self, text: str) -> tuple[str, str]:
        """The reasoning, and the text after it, that this brings."""
        self._held += text
        thought, rest = "", ""
        while (step := self._state()) is not None:
            thought, rest = thought + step[0], rest + step[1]
        return thought, rest

    def finish(self) -> tuple[str, str]:
        """What was held back, at the reply's end."""
        held, self._held = self._held, ""
        if self.thinking:
            return held.rstrip(), ""
        return "", held if self._state == self._read_start else ""

    def _read_start(self) -> tuple[str, str] | None:
        """Up to the opening mark, if that is how the reply begins."""
        begin = self._held.lstrip()
        if begin.startswith(self._marks.opening):
            self._held = begin[len(self._marks.opening) :]
            self._state = self._read_thought
            return "", ""
        if self._marks.opening.startswith(begin):
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
        """White space between the reasoning and the text."""
        self._held = self._held.lstrip()
        if not self._held:
            return None
        self._state = self._read_rest
        return "", ""

    def _read_rest(self) -> tuple[str, str] | None:
        held, self._held = self._held, ""
        return ("", held) if held else None


def _mark_from(text: str, mark: str) -> int:
    """Where an end of the text begins that may become the mark."""
    for at in range(max(0, len(text) - len(mark) + 1), len(text)):
        if mark.startswith(text[at:]):
            return at
    return len(text)
