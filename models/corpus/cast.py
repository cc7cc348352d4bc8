"""Who and what a story is about: characters, things, places, and how English names them.

Each value prints as it is called in the middle of a sentence; its attributes give the other forms
(`{h.his} {t.noun}`, `{p.to}`). Drawn from a random source; they do not change afterwards.
"""

from dataclasses import dataclass
from random import Random

from models.corpus import words
from models.corpus.forms import an, cap, chance, pick, plural

INVENTED_NAMES = 0.15


@dataclass(frozen=True, slots=True)
class Place:
    """`in the forest`: a preposition and a noun phrase."""

    at: str

    @property
    def noun(self) -> str:
        return self.at.split(" ", 1)[1]

    @property
    def bare(self) -> str:
        return self.noun.removeprefix("the ")

    @property
    def to(self) -> str:
        return f"to {self.noun}"

    def __str__(self) -> str:
        return self.noun


@dataclass(frozen=True, slots=True)
class Thing:
    """`the red kite`."""

    color: str
    noun: str

    @property
    def bare(self) -> str:
        return f"{self.color} {self.noun}"

    @property
    def a(self) -> str:
        return an(self.bare)

    @property
    def title(self) -> str:
        return f"{cap(self.color)} {cap(self.noun)}"

    def __str__(self) -> str:
        return f"the {self.bare}"


@dataclass(frozen=True, slots=True)
class Character:
    """Somebody with a name, a kind, a temper and a home."""

    name: str
    kind: str
    feminine: bool
    size: str
    trait: str
    home: str
    treat: str

    @property
    def he(self) -> str:
        return "she" if self.feminine else "he"

    @property
    def him(self) -> str:
        return "her" if self.feminine else "him"

    @property
    def his(self) -> str:
        return "her" if self.feminine else "his"

    @property
    def hers(self) -> str:
        return "hers" if self.feminine else "his"

    @property
    def himself(self) -> str:
        return "herself" if self.feminine else "himself"

    @property
    def He(self) -> str:  # noqa: N802  # how the word begins a sentence
        return cap(self.he)

    @property
    def His(self) -> str:  # noqa: N802
        return cap(self.his)

    @property
    def a(self) -> str:
        """`a little fox`."""
        return an(f"{self.size} {self.kind}")

    @property
    def a_kind(self) -> str:
        return an(self.kind)

    @property
    def treats(self) -> str:
        """What they like to eat, in general."""
        return self.treat if self.treat in words.TREATS else plural(self.treat)

    def __str__(self) -> str:
        return self.name


def place(rng: Random, avoid: tuple[Place, ...] = ()) -> Place:
    taken = {other.at for other in avoid}
    return Place(pick(rng, [at for at in words.PLACES if at not in taken]))


def thing(rng: Random, avoid: tuple[Thing, ...] = (), nouns: tuple[str, ...] = ()) -> Thing:
    """One whose color and noun no other in the story has, so that questions have one answer."""
    colors = {other.color for other in avoid}
    taken = {other.noun for other in avoid}
    noun = pick(rng, [noun for noun in nouns or words.THINGS if noun not in taken])
    return Thing(pick(rng, [color for color in words.COLORS if color not in colors]), noun)


def invented_name(rng: Random) -> str:
    """A name that no list holds, so that a model learns to spell what it reads."""
    count = 2 if chance(rng, 0.7) else 3
    stem = "".join([pick(rng, words.SYLLABLES) for _ in range(count)])
    return cap(stem + pick(rng, words.ENDINGS))


def character(
    rng: Random, avoid: tuple[Character, ...] = (), kind: str | None = None, name: str | None = None
) -> Character:
    """Somebody new: another name, another kind and another home than those to avoid."""
    feminine = chance(rng, 0.5)
    kinds = {other.kind for other in avoid}
    kind = kind or _kind(rng, feminine, kinds)
    feminine = kind in words.GIRL_KINDS or (feminine and kind not in words.BOY_KINDS)
    name = name or _name(rng, feminine, {other.name for other in avoid})
    animal = kind in words.ANIMALS
    young = kind in ("girl", "boy", "kitten", "puppy", "lamb")
    sizes = words.SIZES[:4] if young else words.SIZES
    homes = {other.home for other in avoid}
    home = ""
    while not home or home in homes:
        near = pick(rng, [at for at in words.PLACES if at.startswith(("by", "at", "on"))])
        home = f"in {pick(rng, words.DENS if animal else words.DWELLINGS)} {_near(near)}"
    treat = pick(rng, words.FRUITS + words.VEGETABLES + words.BAKED + words.TREATS)
    return Character(name, kind, feminine, pick(rng, sizes), pick(rng, words.TRAITS), home, treat)


def _near(at: str) -> str:
    return at if at.startswith(("by", "on")) else f"near {at.split(' ', 1)[1]}"


def _kind(rng: Random, feminine: bool, taken: set[str]) -> str:
    people = words.GIRL_KINDS if feminine else words.BOY_KINDS
    kinds = words.ANIMALS if chance(rng, 0.6) else people
    return pick(rng, [kind for kind in kinds if kind not in taken])


def _name(rng: Random, feminine: bool, taken: set[str]) -> str:
    if chance(rng, INVENTED_NAMES):
        return invented_name(rng)
    names = words.GIRLS if feminine else words.BOYS
    return pick(rng, [name for name in names if name not in taken])
