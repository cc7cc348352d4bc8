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
    special: tuple[tuple[int, str], ...] = ()  # marks that are special tokens, which texts lack

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
        """With the marks that are special tokens of this tokenizer."""
        found: list[tuple[int, str]] = []
        for mark in (self.marks.opening, self.marks.closing):
            tokens = tokenizer.encode(mark, special=False)
            if len(tokens) == 1 and not decoded(tokenizer, tokens):
                found.append((tokens[0], mark))
        return replace(self, special=tuple(found))


def after(thinking: Thinking, grammar: str) -> str:
    """The grammar of a reply that may think, and then follows `grammar`."""
    marks, tokens = thinking.marks, {mark: token for token, mark in thinking.special}
    closing = tokens.get(marks.closing)
    opening = tokens.get(marks.opening)
    if closing is None:
        body = f"body[lazy]: /(?s:.*){_for_regex(marks.closing)}/"
    else:
        body = f"body: /(?s:.*)/ <[{closing}]>"
    opened = json.dumps(marks.opening) if opening is None else f"<[{opening}]>"
    start = "thought @reply"
    if thinking.start is Start.MAYBE:
        start = f"({opened} thought)? @reply"
    lark = f"start: {start}\nthought: body space\n{body}\nspace: {_SPACE}"
    first, *others = _grammars(grammar)
    return json.dumps({"grammars": [{"lark_grammar": lark}, first | {"name": "reply"}, *others]})


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
