"""What attacks are drawn from: seeded dice, facts of the server, texts that are awkward to process.

`about(n)` is n itself when a known attack is repeated, and anything from a hundredth of it to twice
as much in a hunt, so that sizes just below a limit are tried too.
"""

from __future__ import annotations

import json
import random
from collections.abc import Callable
from dataclasses import dataclass

from commands.abuse.attacks.facts import Facts
from commands.abuse.attacks.shot import CHAT, COMPLETIONS, Shot

Nesting = tuple[str, str, str]  # opens a level, innermost value, closes a level
LISTS, OBJECTS, SCHEMAS = ("[", "", "]"), ('{"a":', "1", "}"), ('{"not":', "{}", "}")
WORDS = ("once upon a time", "the old dog", "a lost key", "and then", "Ada met a stranger")
LARGEST_BODY = 4_000_000  # every server accepts this; its own limit is slightly higher


@dataclass(frozen=True, slots=True)
class Draw:
    """The dice of one attack."""

    dice: random.Random
    facts: Facts
    exact: bool = False

    def about(self, size: int, least: int = 1) -> int:
        """Return a size near this one."""
        if self.exact:
            return size
        return max(least, int(size * 2 ** self.dice.uniform(-6.6, 1.0)))

    def one_of(self, *values: object) -> object:
        """Return one of the values; the first if a known attack is repeated."""
        return values[0] if self.exact else self.dice.choice(values)

    def completion(self, **fields: object) -> dict[str, object]:
        """Return a body for /v1/completions: four tokens of a story, unless `fields` differ."""
        return {"model": self.facts.model, "prompt": WORDS[0], "max_tokens": 4, **fields}

    def chat(self, **fields: object) -> dict[str, object]:
        """Return the same for /v1/chat/completions."""
        messages = [{"role": "user", "content": WORDS[0]}]
        return {"model": self.facts.model, "messages": messages, "max_tokens": 4, **fields}

    def completion_shot(self, *, copies: int = 1, **fields: object) -> Shot:
        """Return a completion as a shot."""
        return Shot.of(self.completion(**fields), COMPLETIONS, copies=copies)

    def chat_shot(self, *, copies: int = 1, **fields: object) -> Shot:
        """Return a chat as a shot."""
        return Shot.of(self.chat(**fields), CHAT, copies=copies)

    @property
    def room(self) -> int:
        """The tokens that a reply may have after a short prompt."""
        return self.facts.context - 24

    def token(self) -> int:
        """A random token id."""
        return self.dice.randrange(self.facts.vocabulary)

    def text(self, characters: int) -> str:
        """Return a text that is awkward for tokenizers, filters or renderers."""
        make = self.dice.choice([*TEXTS.values()])
        return make(self.dice, max(1, characters))


def nested(depth: int, nesting: Nesting = LISTS) -> str:
    """Return JSON of this depth, which Python's own encoder could not write."""
    opening, core, closing = nesting
    return opening * depth + core + closing * depth


def with_json(body: dict[str, object], field: str, text: str) -> bytes:
    """Return a body with one more field, whose JSON is given."""
    return f'{json.dumps(body)[:-1]}, "{field}": {text}}}'.encode()


def _repeated(unit: str) -> Callable[[random.Random, int], str]:
    return lambda _, size: (unit * (size // len(unit) + 1))[:size]


def _drawn(least: int, most: int) -> Callable[[random.Random, int], str]:
    """Return a function that draws each character from a range."""
    return lambda dice, size: "".join(chr(dice.randint(least, most)) for _ in range(size))


def _words(dice: random.Random, size: int) -> str:
    """Return text as people write it."""
    return " ".join(dice.choice(WORDS) for _ in range(size // 10 + 1))[:size]


def _mixed(dice: random.Random, size: int) -> str:
    """Return random characters of several kinds, so that runs of one kind are short."""
    units = "a1 \u0301\u200d\U0001f469.\n\u00e9"
    return "".join(dice.choice(units) for _ in range(size))


TEXTS: dict[str, Callable[[random.Random, int], str]] = {
    "words": _words,
    "one letter": _repeated("a"),
    "one long word": _drawn(ord("a"), ord("z")),
    "digits": _drawn(ord("0"), ord("9")),
    "spaces": _repeated(" "),
    "line ends": _repeated("\r\n"),
    "tabs": _repeated("\t \n"),
    "marks": _repeated("a\u0301\u0316\u0301\u0316"),  # normalisation must sort them
    "only marks": _drawn(0x300, 0x36F),
    "joined": _repeated("\U0001f469\u200d\U0001f469\u200d\U0001f467\u200d"),
    "flags": _repeated("\U0001f1e6"),
    "four bytes": _drawn(0x1F300, 0x1F64F),
    "ideographs": _drawn(0x4E00, 0x9FFF),
    "Hangul": _drawn(0xAC00, 0xD7A3),
    "expands": _repeated("\ufdfa"),  # eighteen characters when normalised
    "controls": _drawn(0x01, 0x1F),
    "private": _drawn(0xE000, 0xF8FF),
    "punctuation": _repeated("!?.,;:'\"-"),
    "apostrophes": _repeated("'s'll've"),
    "template marks": _repeated("<|im_start|>{{ x }}{% if %}"),
    "nearly marks": _repeated("<|endoftext|"),
    "backslashes": _repeated("\\"),
    "rare": _repeated("\u1e9b\u0323"),
    "mixed": _mixed,
}
