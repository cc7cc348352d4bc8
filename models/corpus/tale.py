"""A story while it is being told: its sentences, what is so in its world, what can be asked.

`Tale` is what plots write to: `say` adds a sentence, the verbs of its ledger (`own`, `give`,
`drop`, `take`, `move`) change who holds what and who is where, and refuse what cannot be (giving
away what one does not hold); `ask` notes a question with its answer. It knows no plot.
"""

from dataclasses import dataclass, field
from random import Random
from typing import Any

from models.corpus import cast
from models.corpus.cast import Character, Place, Thing
from models.corpus.forms import cap, spin


@dataclass(frozen=True, slots=True)
class Question:
    """Something to ask about a text; `key` is the part of the answer that makes it right."""

    text: str
    answer: str
    key: str


@dataclass(frozen=True, slots=True)
class Story:
    """A finished story and what can be asked about it."""

    title: str
    text: str
    summary: str
    moral: str
    hero: Character
    people: tuple[Character, ...]
    questions: tuple[Question, ...]


class ImpossibleError(ValueError):
    """A plot told something that cannot be so."""


@dataclass(slots=True)
class Ledger:
    """Who holds what, where things lie, where people are."""

    holder: dict[Thing, Character] = field(default_factory=dict)
    lies: dict[Thing, Place] = field(default_factory=dict)
    where: dict[Character, Place] = field(default_factory=dict)

    def own(self, who: Character, what: Thing) -> None:
        if what in self.holder or what in self.lies:
            raise ImpossibleError(f"{what} is somebody's already")
        self.holder[what] = who

    def give(self, who: Character, to: Character, what: Thing) -> None:
        self._release(who, what)
        self.holder[what] = to

    def drop(self, who: Character, what: Thing, place: Place) -> None:
        self._release(who, what)
        self.lies[what] = place

    def take(self, who: Character, what: Thing, place: Place) -> None:
        if self.lies.get(what) != place:
            raise ImpossibleError(f"{what} does not lie {place.at}")
        del self.lies[what]
        self.holder[what] = who

    def move(self, who: Character, place: Place) -> None:
        if self.where.get(who) == place:
            raise ImpossibleError(f"{who} is {place.at} already")
        self.where[who] = place

    def _release(self, who: Character, what: Thing) -> None:
        if self.holder.get(what) != who:
            raise ImpossibleError(f"{who} does not hold {what}")
        del self.holder[what]


class Tale:
    """One story in the making: hero `h`, friend `f`, helper `g`, and what a plot binds."""

    def __init__(self, rng: Random, hero: Character | None = None, known: bool = False) -> None:
        self.rng = rng
        self.known = known
        self.hero = hero or cast.character(rng)
        self.friend = cast.character(rng, (self.hero,))
        self.helper = cast.character(rng, (self.hero, self.friend))
        self.world = Ledger()
        self.title = ""
        self.summary = ""
        self.moral = ""
        self._paragraphs: list[list[str]] = [[]]
        self._questions: list[Question] = []
        self._told: list[Character] = []
        self._fields: dict[str, object] = {"h": self.hero, "f": self.friend, "g": self.helper}

    def bind(self, **fields: object) -> None:
        """Name what sentences may speak of."""
        self._fields.update(fields)

    def get(self, *names: str) -> list[Any]:
        """What was bound by these names."""
        return [self._fields[name] for name in names]

    def thing(self, nouns: tuple[str, ...] = ()) -> Thing:
        """A thing unlike all that were bound before."""
        bound = tuple(value for value in self._fields.values() if isinstance(value, Thing))
        return cast.thing(self.rng, bound, nouns)

    def place(self) -> Place:
        """A place that was not bound before and is nobody's home."""
        bound = tuple(value for value in self._fields.values() if isinstance(value, Place))
        homes = (self.hero.home, self.friend.home, self.helper.home)
        while True:
            place = cast.place(self.rng, bound)
            if not any(place.bare in home for home in homes):
                return place

    def line(self, form: str, **fields: object) -> str:
        return spin(self.rng, form, **{**self._fields, **fields})

    def say(self, *forms: str, **fields: object) -> None:
        """Adds a sentence by each form."""
        self._paragraphs[-1].extend([cap(self.line(form, **fields)) for form in forms])

    @property
    def text(self) -> str:
        """The story so far."""
        return "\n\n".join([" ".join(lines) for lines in self._paragraphs if lines])

    @property
    def last(self) -> str:
        """The sentence told last."""
        return self._paragraphs[-1][-1]

    def pause(self) -> None:
        """Begins a new paragraph."""
        self._paragraphs.append([])

    def ask(self, question: str, answer: str, key: str, **fields: object) -> None:
        """Notes a question that the text answers."""
        values = {**self._fields, **fields}
        text = cap(spin(self.rng, question, **values))
        reply = cap(spin(self.rng, answer, **values))
        self._questions.append(Question(text, reply, key.format(**values)))

    def introduce(self, who: Character) -> None:
        """Notes what can be asked once the text has told kind and home."""
        self._told.append(who)
        self.ask("where does {c} live?", "{c} lives {c.home}.", "{c.home}", c=who)
        self.ask(
            "[what is {c}?|who is {c}?|what kind of [creature|character] is {c}?]",
            "{c} is {c.a}.",
            "{c.kind}",
            c=who,
        )

    def finish(self) -> Story:
        self._ask_of_the_end()
        people = tuple(self._told)
        return Story(
            self.line(self.title),
            self.text,
            cap(self.line(self.summary)),
            cap(self.line(self.moral)),
            self.hero,
            people,
            tuple(self._questions),
        )

    def _ask_of_the_end(self) -> None:
        """Questions that the ledger answers, whatever the plot."""
        for what, who in self.world.holder.items():
            self.ask(
                "who [has|ends up with|owns] {x} [now|at the end|at the end of the story]?",
                "{c} has {x}.",
                "{c}",
                x=what,
                c=who,
            )
            self.ask(
                "what color is the {x.noun}?",
                "the {x.noun} is {x.color}.",
                "{x.color}",
                x=what,
            )
        for what, place in self.world.lies.items():
            self.ask("where is {x} now?", "{x} is {p.at}.", "{p}", x=what, p=place)
