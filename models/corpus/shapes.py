"""JSON objects that follow a described shape, and lists.

The request names the keys with their types and tells the facts (or leaves them open); the answer is
one object, in the order asked for.
"""

import json
from collections.abc import Callable
from dataclasses import dataclass
from random import Random

from models.corpus import cast, words
from models.corpus.forms import NUMBERS, an, cap, listed, number, pick, plural, shuffled, some, spin
from models.corpus.tale import Question

Json = str | int | bool | list[str]


@dataclass(frozen=True, slots=True)
class Key:
    """One key of a shape: what it holds and how a sentence tells it."""

    name: str
    type: str
    told: str
    draw: Callable[[Random], Json]


def _words_of(row: tuple[str, ...]) -> Callable[[Random], Json]:
    return lambda rng: [plural(word) for word in some(rng, row, number(rng, 1, 3))]


def _word_of(row: tuple[str, ...]) -> Callable[[Random], Json]:
    return lambda rng: pick(rng, row)


KEYS = (
    Key("age", "number", "is {x} years old", lambda rng: number(rng, 3, 90)),
    Key("job", "string", "works as {x_a}", _word_of(words.JOBS)),
    Key("likes", "list of strings", "likes {x}", _words_of(words.FRUITS + words.VEGETABLES)),
    Key("pet", "string", "has {x_a} as a pet", _word_of(words.ANIMALS)),
    Key("color", "string", "likes the color {x} best", _word_of(words.COLORS)),
    Key("mood", "string", "is {x} today", _word_of(words.FEELINGS)),
    Key("can_swim", "boolean", "can swim", lambda rng: rng.random() < 0.5),
    Key("month", "string", "was born in {x}", _word_of(words.MONTHS)),
    Key("friends", "list of strings", "is a friend of {x}", lambda rng: list(_names(rng))),
    Key("coins", "number", "has {x} coins", lambda rng: number(rng, 2, 60)),
)
LISTS: dict[str, tuple[str, ...]] = {
    "animals": words.ANIMALS,
    "fruits": words.FRUITS,
    "vegetables": words.VEGETABLES,
    "colors": words.COLORS,
    "things to wear": words.CLOTHES,
    "instruments": words.INSTRUMENTS,
    "jobs": words.JOBS,
    "shapes": words.SHAPES,
    "toys": words.TOYS,
    "names for a cat": words.GIRLS,
    "things to eat": words.BAKED,
}


def json_request(rng: Random) -> Question:
    """A described shape, the facts, and the object that follows it."""
    name = str(cast.character(rng))
    keys = some(rng, KEYS, number(rng, 1, 4))
    values: dict[str, Json] = {key.name: key.draw(rng) for key in keys}
    order = [("name", "string"), *[(key.name, key.type) for key in keys]]
    shape = listed([f'"{key}" ({kind})' for key, kind in order])
    facts = [_told(key, values[key.name]) for key in shuffled(rng, keys)]
    text = spin(
        rng,
        "[Write|Give me|Make] a JSON object with the keys {shape}[ for this text:|. The "
        "facts:|:] {facts}.",
        shape=shape,
        facts=f"{name} {listed(facts)}",
    )
    answer = json.dumps({"name": name, **values})
    return Question(text, answer, answer)


def open_json_request(rng: Random) -> Question:
    """A described shape whose values the answer may choose."""
    keys = some(rng, KEYS, number(rng, 1, 3))
    shape = listed([f'"{key.name}" ({key.type})' for key in keys])
    text = spin(
        rng,
        '[Make up|Invent|Write] a [person|character] as a JSON object with the keys "name" '
        "(string)"
        "{comma} {shape}.",
        comma="," if len(keys) > 1 else " and",
        shape=shape,
    )
    made: dict[str, Json] = {"name": str(cast.character(rng))}
    made.update({key.name: key.draw(rng) for key in keys})
    return Question(text, json.dumps(made), "")


def list_request(rng: Random) -> Question:
    """So many of a kind, with numbers, with dashes or in one line."""
    kind = pick(rng, tuple(LISTS))
    items = some(rng, LISTS[kind], number(rng, 3, 6))
    many = NUMBERS[len(items)]
    style = pick(rng, ("numbered", "dashes", "line"))
    ask = {
        "numbered": "[List|Name|Give me] {n} {k}[| as a numbered list].",
        "dashes": "[Make a list of|Write a list of] {n} {k}.",
        "line": "[Name|Tell me] {n} {k} in one line.",
    }[style]
    answer = {
        "numbered": "\n".join([f"{at}. {cap(item)}" for at, item in enumerate(items, 1)]),
        "dashes": "\n".join([f"- {cap(item)}" for item in items]),
        "line": cap(listed(items)) + ".",
    }[style]
    return Question(spin(rng, ask, n=many, k=kind), answer, "")


def _names(rng: Random) -> list[str]:
    return some(rng, words.GIRLS + words.BOYS, number(rng, 1, 3))


def _told(key: Key, value: Json) -> str:
    if isinstance(value, bool):
        return "can swim" if value else "cannot swim"
    spoken = listed(value) if isinstance(value, list) else str(value)
    return key.told.format(x=spoken, x_a=an(spoken))
