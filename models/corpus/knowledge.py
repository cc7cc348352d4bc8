"""What is so in any world: opposites, sounds, colors, legs. Questions with fixed answers."""

from random import Random

from models.corpus import words
from models.corpus.forms import NUMBERS, an, cap, number, pick, some, spin
from models.corpus.tale import Question

OPPOSITES = (
    *(("big", "small"), ("hot", "cold"), ("day", "night"), ("up", "down"), ("old", "young")),
    *(("fast", "slow"), ("happy", "sad"), ("light", "dark"), ("wet", "dry"), ("full", "empty")),
    *(("open", "closed"), ("loud", "quiet"), ("hard", "soft"), ("near", "far"), ("left", "right")),
    *(("early", "late"), ("brave", "afraid"), ("clean", "dirty"), ("long", "short")),
)
SOUNDS = (
    *(("cow", "moo"), ("dog", "woof"), ("cat", "meow"), ("duck", "quack"), ("sheep", "baa")),
    *(("frog", "ribbit"), ("bee", "buzz"), ("owl", "hoot"), ("pig", "oink"), ("hen", "cluck")),
)
COLORED = (
    *(("grass", "green"), ("snow", "white"), ("the sky", "blue"), ("a carrot", "orange")),
    *(("a ripe banana", "yellow"), ("coal", "black"), ("a plum", "purple"), ("a cherry", "red")),
    *(("chocolate", "brown"), ("the sun", "yellow"), ("a frog", "green"), ("milk", "white")),
)
LEGS = (
    *(("dog", 4), ("cat", 4), ("horse", 4), ("duck", 2), ("hen", 2), ("spider", 8), ("bee", 6)),
    *(("fox", 4), ("owl", 2), ("beetle", 6), ("goat", 4), ("mouse", 4)),
)
WHERE = (
    *(
        ("fish", "in the water"),
        ("birds", "in nests"),
        ("bees", "in a hive"),
        ("bears", "in caves"),
    ),
    *(("rabbits", "in burrows"), ("spiders", "in webs"), ("camels", "in the desert")),
    *(("penguins", "in cold lands by the sea"), ("frogs", "near ponds"), ("owls", "in old trees")),
)
TOOLS = (
    *(
        ("cut paper", "scissors"),
        ("drive in a nail", "a hammer"),
        ("stay dry in the rain", "an umbrella"),
    ),
    *(("eat soup", "a spoon"), ("dig a hole", "a shovel"), ("see in the dark", "a lantern")),
    *(("open a lock", "a key"), ("tell the time", "a clock"), ("write a letter", "a pencil")),
    *(("sweep the floor", "a broom"), ("keep warm", "a blanket"), ("climb a wall", "a ladder")),
)
FACTS = (
    ("How many days are in a week?", "There are seven days in a week.", "seven"),
    ("How many months are in a year?", "There are twelve months in a year.", "twelve"),
    ("How many seasons are there?", "There are four: spring, summer, autumn and winter.", "four"),
    ("What do bees make?", "Bees make honey.", "honey"),
    ("What do hens lay?", "Hens lay eggs.", "eggs"),
    ("What do cows give us?", "Cows give us milk.", "milk"),
    ("Where does the sun rise?", "The sun rises in the east.", "east"),
    ("Where does the sun set?", "The sun sets in the west.", "west"),
    ("What falls from the sky in winter?", "Snow falls from the sky in winter.", "snow"),
    ("What is ice made of?", "Ice is made of frozen water.", "water"),
    ("What do we breathe?", "We breathe air.", "air"),
    ("What do plants need to grow?", "Plants need light, water and good soil.", "water"),
    ("What is bread made of?", "Bread is made of flour, water and a little salt.", "flour"),
    ("What shape has three sides?", "A triangle has three sides.", "triangle"),
    ("What shape has four equal sides?", "A square has four equal sides.", "square"),
    ("What lights up the night sky?", "The moon and the stars do.", "moon"),
)


def general(rng: Random) -> Question:
    """One question that needs no text."""
    return pick(rng, (_opposite, _sound, _color, _legs, _where, _tool, _fact, _after, _kind))(rng)


def _opposite(rng: Random) -> Question:
    pair = some(rng, pick(rng, OPPOSITES), 2)
    ask = spin(rng, "What is the opposite of {a}?", a=pair[0])
    return Question(ask, f"The opposite of {pair[0]} is {pair[1]}.", pair[1])


def _sound(rng: Random) -> Question:
    animal, sound = pick(rng, SOUNDS)
    ask = spin(rng, "What [sound does a {a} make|does a {a} say]?", a=animal).replace(
        "a owl", "an owl"
    )
    return Question(ask, f"{'An' if animal == 'owl' else 'A'} {animal} says {sound}.", sound)


def _color(rng: Random) -> Question:
    what, color = pick(rng, COLORED)
    return Question(f"What color is {what}?", f"{cap(what)} is {color}.", color)


def _legs(rng: Random) -> Question:
    animal, legs = pick(rng, LEGS)
    article = "an" if animal == "owl" else "a"
    ask = f"How many legs does {article} {animal} have?"
    return Question(ask, f"{cap(article)} {animal} has {NUMBERS[legs]} legs.", NUMBERS[legs])


def _where(rng: Random) -> Question:
    who, where = pick(rng, WHERE)
    return Question(f"Where do {who} live?", f"{cap(who)} live {where}.", where)


def _tool(rng: Random) -> Question:
    task, tool = pick(rng, TOOLS)
    ask = spin(rng, "What do I need to {task}?", task=task)
    return Question(ask, f"You need {tool} to {task}.", tool)


def _fact(rng: Random) -> Question:
    return Question(*pick(rng, FACTS))


def _after(rng: Random) -> Question:
    row = pick(rng, (words.DAYS, words.MONTHS))
    at = number(rng, 0, len(row) - 2)
    first, second = row[at], row[at + 1]
    if rng.random() < 0.5:
        return Question(f"What comes after {first}?", f"{second} comes after {first}.", second)
    return Question(f"What comes before {second}?", f"{first} comes before {second}.", first)


def _kind(rng: Random) -> Question:
    rows = {
        "a fruit": words.FRUITS,
        "a vegetable": words.VEGETABLES,
        "an animal": words.ANIMALS,
        "a color": words.COLORS,
        "an instrument": words.INSTRUMENTS,
        "a day of the week": words.DAYS,
    }
    kind = pick(rng, tuple(rows))
    word = pick(rng, rows[kind])
    if kind in ("a color", "a day of the week"):
        return Question(f"Is {word} {kind}?", f"Yes, {word} is {kind}.", "yes")
    return _member(rng, rows, kind, word)


def _member(rng: Random, rows: dict[str, tuple[str, ...]], kind: str, word: str) -> Question:
    asked = pick(rng, (kind, "a fruit", "an animal", "an instrument"))
    if asked == kind or word in rows[asked]:
        return Question(f"Is {an(word)} {asked}?", f"Yes, {an(word)} is {asked}.", "yes")
    return Question(f"Is {an(word)} {asked}?", f"No, {an(word)} is {kind}.", "no")
