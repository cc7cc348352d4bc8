"""Saying again, and remembering pairs: the plainest ways to use what was read before.

A small model learns late to look things up in a text. Where hardly anything else can be learned, it
learns that first; stories and questions then build on it.
"""

from random import Random

from models.corpus import cast, notes, words
from models.corpus.forms import chance, number, pick, some, spin
from models.corpus.small_talk import Turn

NOUNS = words.THINGS + words.ANIMALS + words.FRUITS + words.VEGETABLES
OTHERS = words.COLORS + words.JOBS + words.FEELINGS + words.DAYS + words.MONTHS + words.INSTRUMENTS
NAMES = words.GIRLS + words.BOYS


def echo(rng: Random) -> Turn:
    """Words, names or a sentence, to be said again."""
    ask = spin(rng, "[Repeat after me|Say this again|Repeat|Please repeat|Copy this]:\n")
    said = pick(rng, (_words, _words, _names, _sentence))(rng)
    return ask + said, said


def pairs(rng: Random) -> list[Turn]:
    """Who goes with what; asked one by one."""
    count = number(rng, 3, 9)
    left = _names_of(rng, count) if chance(rng, 0.7) else some(rng, NOUNS, count)
    right = some(rng, pick(rng, (NOUNS, OTHERS, words.PLACES)), count)
    sign = pick(rng, (" - ", ": ", " = "))
    told = pick(rng, ("; ", "\n")).join([f"{a}{sign}{b}" for a, b in zip(left, right, strict=True)])
    asked = some(rng, list(zip(left, right, strict=True)), number(rng, 2, count))
    form = pick(rng, ("What goes with {a}?", "{a}?", "And {a}?", "Which one has {a}?"))
    turns = [(form.format(a=a), b) for a, b in asked]
    first = f"{told}\n\n{turns[0][0]}"
    return [(first, turns[0][1]), *turns[1:]]


def _words(rng: Random) -> str:
    return " ".join(some(rng, NOUNS + OTHERS, number(rng, 3, 16)))


def _names(rng: Random) -> str:
    return ", ".join(_names_of(rng, number(rng, 2, 8)))


def _sentence(rng: Random) -> str:
    text, _ = notes.note(rng)
    return text


def _names_of(rng: Random, count: int) -> list[str]:
    """Listed names and invented ones."""
    drawn = some(rng, NAMES, count)
    return [cast.invented_name(rng) if chance(rng, 0.3) else name for name in drawn]
