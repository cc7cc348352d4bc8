"""Simple arithmetic: sums to twenty, the small times table, and little problems in words."""

from random import Random

from models.corpus import cast, words
from models.corpus.forms import cap, number, pick, plural, spin
from models.corpus.tale import Question


def sum_question(rng: Random) -> Question:
    """One question with a number for an answer."""
    return pick(rng, (_plain, _plain, _word_problem, _compare, _sequence))(rng)


def _plain(rng: Random) -> Question:
    sign = pick(rng, ("+", "-", "*", "+"))
    a, b, result = _operands(rng, sign)
    spoken = {"+": "plus", "-": "minus", "*": "times"}[sign]
    if rng.random() < 0.3:
        text = spin(rng, "What is {a} {s} {b}?", a=a, s=spoken, b=b)
        return Question(text, f"{a} {spoken} {b} is {result}.", str(result))
    asked = f"{a} {sign} {b}"
    form = "[What is {x}?|{x} = ?|Please calculate {x}.|How much is {x}?]"
    text = spin(rng, form, x=asked)
    return Question(text, f"{a} {sign} {b} = {result}", str(result))


def _operands(rng: Random, sign: str) -> tuple[int, int, int]:
    if sign == "*":
        a, b = number(rng, 0, 10), number(rng, 0, 10)
        return a, b, a * b
    a, b = number(rng, 0, 10), number(rng, 0, 10)
    return (a, b, a + b) if sign == "+" else (a + b, b, a)


def _word_problem(rng: Random) -> Question:
    who = cast.character(rng)
    fruit = plural(pick(rng, words.FRUITS + words.THINGS))
    a, b = number(rng, 2, 10), number(rng, 2, 9)
    if rng.random() < 0.5:
        told = "{c} has {a} {x} and [gets|finds|buys] {b} more."
        ask = "How many {x} does {c} have [now|in all]?"
        text = spin(rng, f"{told} {ask}", c=who, a=a, b=b, x=fruit)
        return Question(text, f"{a} + {b} = {a + b}, so {who} has {a + b} {fruit}.", str(a + b))
    form = "{c} has {a} {x} and [gives away|loses|sells] {b}. How many {x} are left?"
    text = spin(rng, form, c=who, a=a + b, b=b, x=fruit)
    return Question(text, f"{a + b} - {b} = {a}, so {a} {fruit} are left.", str(a))


def _compare(rng: Random) -> Question:
    a = number(rng, 1, 49)
    b = a + number(rng, 1, 20)
    first, second = (a, b) if rng.random() < 0.5 else (b, a)
    which, right = pick(rng, (("bigger", b), ("smaller", a)))
    text = f"Which number is {which}, {first} or {second}?"
    return Question(text, f"{right} is {which}.", str(right))


def _sequence(rng: Random) -> Question:
    step = pick(rng, (1, 1, 2, 5, 10))
    start = number(rng, 1, 6) * step
    count = number(rng, 4, 8)
    row = [start + step * at for at in range(count)]
    by = "" if step == 1 else f" by {step}s"
    text = spin(rng, "[count|please count] from {a} to {b}{by}.", a=row[0], b=row[-1], by=by)
    return Question(cap(text), ", ".join(map(str, row)), ", ".join(map(str, row)))
