"""How stories begin and end: who the hero is, where they live, what the day is like."""

from models.corpus.cast import Character
from models.corpus.forms import chance, pick
from models.corpus.tale import Tale

BEGIN = (
    (
        "[Once upon a time|Long ago|Many years ago|Not so long ago|Once], [there was|there lived] "
        "{h.a} "
        "[named|called] {h}. {h.He} lived {h.home}."
    ),
    "[Once upon a time|Long ago|Once], {h.a} [named|called] {h} lived {h.home}.",
    "{h} was {h.a} who lived {h.home}.",
    (
        "[Once upon a time,|Far away,|One spring,|In a quiet land,] {h.home}, there lived {h.a}. "
        "{h.His} name was {h}."
    ),
    "This is the story of {h}, {h.a} who lived {h.home}.",
)
TEMPER = (
    "Everyone [knew|said] that {h} was [very|rather|quite] {h.trait}.",
    "{h} was {h.trait}, and {h.he} liked {h.treats} [more than anything|very much].",
    "{h} loved {h.treats} and [long walks|warm evenings|rainy days|good stories|quiet mornings].",
    "{h} was [always {h.trait}, even on Mondays|always {h.trait}|known to be {h.trait}].",
    "[Nobody|No one] in the whole [valley|village|land] was as {h.trait} as {h}.",
)
WEATHER = (
    "[The sun was shining|The sky was blue|A soft wind was blowing|It had rained all night].",
    "It was a [sunny|windy|cloudy|warm|cold|foggy|bright] [day|morning].",
    (
        "[Birds were singing|Bees were humming|Leaves were dancing] in the [trees|garden|morning "
        "light]."
    ),
    "Snow lay on [the roofs|the fields|every branch].",
)
ENDS = (
    "[And|So] {h} went home [happy|with a smile|with a warm heart|under the stars].",
    "That [night|evening], {h} [slept very well|slept soundly|fell asleep with a smile].",
    (
        "[From then on|From that day on|Ever since], {h} and {f} were [the best of friends|good "
        "friends]."
    ),
    "And they all had {h.treats} for [supper|dinner].",
    "[It had been a good day|What a day it had been|It was a day to remember].",
    "The end.",
)


AGAIN = (
    (
        "[The next day|A week later|Some time later|One month later], {h} was [busy|bored|at home] "
        "again."
    ),
    "[But that was not the end|That was not all]. {h} [had more to do|had another adventure].",
    (
        "[When the summer came|When the leaves fell|Soon after that], {h} [was ready for "
        "more|could not "
        "sit still]."
    ),
)


def begin(tale: Tale) -> None:
    """Presents the hero, unless an earlier chapter did."""
    rng = tale.rng
    if tale.known:
        tale.say(pick(rng, AGAIN))
        return
    tale.say(pick(rng, BEGIN))
    tale.introduce(tale.hero)
    if chance(rng, 0.6):
        tale.say(pick(rng, TEMPER))
        _ask_temper(tale)
    if chance(rng, 0.25):
        tale.say(pick(rng, WEATHER))


def present(tale: Tale, who: Character) -> None:
    """Tells who somebody is, in a sentence of their own."""
    tale.say(
        "[{c} was {c.a} who lived {c.home}|{c}, {c.a}, lived {c.home}].",
        c=who,
    )
    tale.introduce(who)


def end(tale: Tale) -> None:
    rng = tale.rng
    tale.say(pick(rng, ENDS[:-1]))
    if chance(rng, 0.3):
        tale.say(ENDS[-1])


def _ask_temper(tale: Tale) -> None:
    text = tale.last
    if tale.hero.treats in text:
        tale.ask("what did {h} [like|love] to eat?", "{h} loved {h.treats}.", "{h.treats}")
    if tale.hero.trait in text:
        tale.ask("what was {h} like?", "{h} was {h.trait}.", "{h.trait}")
