"""Small worlds in plain sentences: who is where, has what, likes what; things change hands.

Denser in facts than a story, so that a model learns to look things up in the text before.
"""

from random import Random

from models.corpus import cast, words
from models.corpus.cast import Character, Place
from models.corpus.forms import NUMBERS, cap, chance, number, pick, plural, shuffled, some, spin
from models.corpus.tale import Ledger, Question


def note(rng: Random) -> tuple[str, tuple[Question, ...]]:
    """A paragraph and what can be asked about it."""
    people: list[Character] = []
    for _ in range(number(rng, 2, 4)):
        people.append(cast.character(rng, tuple(people)))
    return _facts(rng, people) if chance(rng, 0.5) else _moves(rng, people)


def _facts(rng: Random, people: list[Character]) -> tuple[str, tuple[Question, ...]]:
    """What stands still: ages, jobs, likes, possessions, pets."""
    lines: list[str] = []
    questions: list[Question] = []
    foods = some(rng, words.FRUITS + words.VEGETABLES, len(people))
    jobs = some(rng, words.JOBS, len(people))
    pets = some(rng, words.ANIMALS, len(people))
    colors = some(rng, words.COLORS, len(people))
    ages = some(rng, range(2, 20), len(people))
    for at, who in enumerate(people):
        facts = (
            ("likes {x}", "what does {c} like?", plural(foods[at])),
            ("works as a {x}", "what [is {c}'s job|does {c} work as]?", jobs[at]),
            ("has a pet {x}", "what pet does {c} have?", pets[at]),
            ("is {x} years old", "how old is {c}?", NUMBERS[ages[at]]),
            ("has a {x} bicycle", "what color is {c}'s bicycle?", colors[at]),
            ("lives {x}", "where does {c} live?", who.home),
        )
        told = some(rng, facts, number(rng, 1, 3))
        said = [_an(form.format(x=x)) for form, _, x in told]
        lines.append(f"{who} {said[0]}." if len(said) == 1 else _joined(who, said))
        for (form, ask, x), say in zip(told, said, strict=True):
            del form
            questions.append(Question(cap(spin(rng, ask, c=who)), f"{who} {say}.", x))
            if not say.startswith(("lives", "is")):
                third = spin(rng, "[who|which of them] {say}?", say=say)
                questions.append(Question(cap(third), f"{who} {say}.", who.name))
    return " ".join(lines), tuple(shuffled(rng, questions))


def _an(said: str) -> str:
    """`a owl` becomes `an owl`."""
    head, space, tail = said.partition(" a ")
    return f"{head} an {tail}" if space and tail[0] in "aeio" else said


def _joined(who: Character, said: list[str]) -> str:
    if len(said) == 2:
        return f"{who} {said[0]} and {said[1]}."
    return f"{who} {said[0]}. {who.He} {said[1]} and {said[2]}."


def _moves(rng: Random, people: list[Character]) -> tuple[str, tuple[Question, ...]]:
    """What changes: people walk from room to room, and things change hands."""
    ledger = Ledger()
    lines: list[str] = []
    rooms = [Place(at) for at in some(rng, words.ROOMS + words.PLACES, 4)]
    things: list[cast.Thing] = []
    for who in people:
        lines.append(_walk(rng, ledger, who, pick(rng, rooms)))
        if chance(rng, 0.8):
            thing = cast.thing(rng, tuple(things))
            things.append(thing)
            ledger.own(who, thing)
            lines.append(spin(rng, "{c} [has|picks up|carries|holds] {t.a}.", c=who, t=thing))
    lines.extend([_change(rng, ledger, people, rooms) for _ in range(number(rng, 1, 4))])
    return " ".join(lines), tuple(shuffled(rng, _asked(rng, ledger)))


def _walk(rng: Random, ledger: Ledger, who: Character, room: Place) -> str:
    first = who not in ledger.where
    ledger.move(who, room)
    if first:
        return spin(rng, "{c} is {p.at}.", c=who, p=room)
    return spin(rng, "{c} [goes|walks|runs|moves] {p.to}.", c=who, p=room)


def _change(rng: Random, ledger: Ledger, people: list[Character], rooms: list[Place]) -> str:
    if ledger.holder and chance(rng, 0.5):
        thing = pick(rng, list(ledger.holder))
        giver = ledger.holder[thing]
        taker = pick(rng, [who for who in people if who != giver])
        ledger.give(giver, taker, thing)
        form = "{c} [gives {t} to {d}|hands {t} to {d}|gives {d} {t}]."
        return spin(rng, form, c=giver, t=thing, d=taker)
    who = pick(rng, people)
    here = ledger.where[who]
    return _walk(rng, ledger, who, pick(rng, [room for room in rooms if room != here]))


def _asked(rng: Random, ledger: Ledger) -> list[Question]:
    found = []
    for thing, who in ledger.holder.items():
        ask = spin(rng, "who [has|is holding] {t} [|now]?", t=thing).replace(" ?", "?")
        found.append(Question(cap(ask), f"{who} has {thing}.", who.name))
        found.append(
            Question(
                f"What color is the {thing.noun}?",
                f"The {thing.noun} is {thing.color}.",
                thing.color,
            )
        )
    for who, room in ledger.where.items():
        ask = spin(rng, "where is {c} [|now]?", c=who).replace(" ?", "?")
        found.append(Question(cap(ask), f"{who} is {room.at}.", room.noun))
        held = [thing for thing, holder in ledger.holder.items() if holder == who]
        if len(held) == 1:
            found.append(
                Question(f"What does {who} have?", f"{who} has {held[0].a}.", held[0].bare)
            )
        elif not held:
            found.append(Question(f"What does {who} have?", f"{who} has nothing.", "nothing"))
    return found
