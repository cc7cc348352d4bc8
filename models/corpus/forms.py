"""Sentence forms: text with [one|or the other] choices and {fields}, filled by a random source.

In: a form, a random source, the values of its fields (`{h.his} {t.noun}` reads attributes).
Out: one sentence. Also the few rules of English that fields need: a or an, lists, plurals, numbers
in words. It knows no words of the corpus.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from random import Random
from typing import TypeVar

T = TypeVar("T")

NUMBERS = (
    *("zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"),
    *("eleven", "twelve", "thirteen", "fourteen", "fifteen", "sixteen", "seventeen", "eighteen"),
    *("nineteen", "twenty"),
)
IRREGULAR = {
    "leaf": "leaves",
    "loaf": "loaves",
    "mouse": "mice",
    "goose": "geese",
    "potato": "potatoes",
}


@dataclass(frozen=True, slots=True)
class Choice:
    """Alternatives, each a run of plain text and further choices."""

    options: tuple[tuple["str | Choice", ...], ...]


def pick(rng: Random, options: Sequence[T]) -> T:
    """One of them; by `random()` alone, which Python keeps the same from version to version."""
    return options[int(rng.random() * len(options))]


def chance(rng: Random, share: float) -> bool:
    return rng.random() < share


def number(rng: Random, low: int, high: int) -> int:
    """A whole number from low to high, both included."""
    return low + int(rng.random() * (high - low + 1))


def shuffled(rng: Random, items: Sequence[T]) -> list[T]:
    """All of them in a random order."""
    keys = [(rng.random(), place) for place in range(len(items))]
    return [items[place] for _, place in sorted(keys)]


def some(rng: Random, items: Sequence[T], count: int) -> list[T]:
    """`count` different ones."""
    return shuffled(rng, items)[:count]


def spin(rng: Random, form: str, **fields: object) -> str:
    """The form with its choices made and its fields filled."""
    return _chosen(rng, _parsed(form)).format(**fields)


def an(phrase: str) -> str:
    """`a fox`, `an owl`: by the first letter, which holds for every word in this corpus."""
    vowel = phrase[0].lower() in "aeio" or phrase.startswith(("umbrella", "honest"))
    return f"an {phrase}" if vowel else f"a {phrase}"


def cap(text: str) -> str:
    return text[:1].upper() + text[1:]


def plural(noun: str) -> str:
    if noun in IRREGULAR:
        return IRREGULAR[noun]
    if noun.endswith(("s", "x", "ch", "sh")):
        return noun + "es"
    if noun.endswith("y") and noun[-2] not in "aeou":
        return noun[:-1] + "ies"
    return noun + "s"


def counted(count: int, noun: str) -> str:
    """`one plum`, `three plums`."""
    return f"{NUMBERS[count]} {noun if count == 1 else plural(noun)}"


def listed(items: Sequence[str], last: str = "and") -> str:
    """`a`, `a and b`, `a, b and c`."""
    if len(items) < 2:
        return "".join(items)
    return f"{', '.join(items[:-1])} {last} {items[-1]}"


def _chosen(rng: Random, parts: tuple[str | Choice, ...]) -> str:
    return "".join(
        [part if isinstance(part, str) else _chosen(rng, pick(rng, part.options)) for part in parts]
    )


@cache
def _parsed(form: str) -> tuple[str | Choice, ...]:
    options, end = _options(form, 0)
    if end != len(form) or len(options) != 1:
        raise ValueError(f"unbalanced brackets in the form {form!r}")
    return options[0]


def _options(form: str, at: int) -> tuple[list[tuple[str | Choice, ...]], int]:
    """The alternatives from `at` up to the closing bracket (or the form's end)."""
    options: list[tuple[str | Choice, ...]] = []
    parts: list[str | Choice] = []
    start = at
    while at < len(form) and form[at] != "]":
        if form[at] in "[|":
            parts.append(form[start:at])
            if form[at] == "[":
                inner, at = _options(form, at + 1)
                parts.append(Choice(tuple(inner)))
            else:
                options.append(tuple(parts))
                parts = []
            start = at + 1
        at += 1
    options.append((*parts, form[start:at]))
    return options, at
