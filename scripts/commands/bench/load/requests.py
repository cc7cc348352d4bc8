"""The content of each request: a prompt of an exact length, a seed, a token limit.

In: sizes and one base seed. Out: the same `Request`s on every machine. Prompts are pseudo-words,
different for each request, so that no server's prefix cache helps, unless a shared beginning or
further turns are wanted. A named prompt begins with its stream's name. Knows no dialects and no
sockets.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

Unit = Literal["byte", "word"]

SEEDS = 2**63
NAME_BYTES = 15
_CONSONANTS = "bdfghklmnprstvz"
_VOWELS = "aeiou"
# Words that are one token each in most vocabularies, a leading space included.
_COMMON_WORDS = (
    "time",
    "year",
    "people",
    "way",
    "day",
    "man",
    "thing",
    "woman",
    "life",
    "child",
    "world",
    "school",
    "state",
    "family",
    "student",
    "group",
    "country",
    "problem",
    "hand",
    "part",
    "place",
    "case",
    "week",
    "company",
    "system",
    "program",
    "question",
    "work",
    "government",
    "number",
    "night",
    "point",
    "home",
    "water",
    "room",
    "mother",
    "area",
    "money",
    "story",
    "fact",
    "month",
    "lot",
    "right",
    "study",
    "book",
    "eye",
    "job",
    "word",
    "business",
    "issue",
    "side",
    "kind",
    "head",
    "house",
    "service",
    "friend",
    "father",
    "power",
    "hour",
    "game",
    "line",
)


@dataclass(frozen=True, slots=True)
class Request:
    """One request's content; `seed` is None if the server chooses one."""

    index: int
    prompt: str
    seed: int | None
    max_tokens: int


@dataclass(frozen=True, slots=True)
class Sizes:
    """The common properties of all requests of a run."""

    prompt_tokens: int
    reply_tokens: int
    unit: Unit = "byte"
    named: bool = False
    send_seed: bool = True
    shared: str = ""  # the beginning of each prompt, not counted in `prompt_tokens`
    turn_tokens: int = 0  # words or bytes that a further turn adds to the reply


def make_requests(count: int, sizes: Sizes, seed: int) -> list[Request]:
    """Return the requests of one run; request i has the seed `seed + i` and its own prompt."""
    return [_make_request(index, sizes, (seed + index) % SEEDS) for index in range(count)]


def further_turn(
    requests: Sequence[Request], replies: Mapping[int, bytes], sizes: Sizes, seed: int
) -> list[Request]:
    """Return the next turn of each chat: its prompt, the reply to it, and new words."""

    def next_of(request: Request) -> Request:
        own = (seed + request.index) % SEEDS
        reply = replies[request.index].decode(errors="replace").rstrip()
        prompt = f"{request.prompt}{reply} {words(sizes.turn_tokens, sizes.unit, own)}"
        return replace(request, prompt=prompt, seed=own if sizes.send_seed else None)

    return [next_of(request) for request in requests]


def shared_beginning(tokens: int, unit: Unit, seed: int) -> str:
    """Return a beginning of this length for all prompts."""
    if not tokens:
        return ""
    text = words(tokens, unit, seed)
    return f"{text} " if unit == "word" else f"{text[:-1]} "


def stream_name(index: int) -> str:
    """Return the name at the head of a named prompt: of fixed width, so none begins another."""
    return f"stream-{index:0{NAME_BYTES - 8}d} "


def _make_request(index: int, sizes: Sizes, seed: int) -> Request:
    name = stream_name(index) if sizes.named else ""
    prompt = sizes.shared + words(sizes.prompt_tokens, sizes.unit, seed, name)
    return Request(index, prompt, seed if sizes.send_seed else None, sizes.reply_tokens)


def words(tokens: int, unit: Unit, seed: int, name: str = "") -> str:
    """Return a text of this many words or bytes, which begins with `name`."""
    dice = random.Random(seed)  # noqa: S311 - reproducible, not secret
    if unit == "word":
        return name + " ".join(dice.choices(_COMMON_WORDS, k=tokens))
    text = name
    for word in _pseudo_words(dice):
        if len(text) >= tokens:
            break
        text += word
    # Some servers trim a prompt that ends in a space, which would change its length.
    return text[: tokens - 1] + "."


def _pseudo_words(dice: random.Random) -> Iterator[str]:
    while True:
        syllables = dice.randint(1, 3)
        yield (
            "".join(dice.choice(_CONSONANTS) + dice.choice(_VOWELS) for _ in range(syllables)) + " "
        )
