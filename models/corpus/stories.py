"""Stories: a hero, a plot, an ending; or several plots of one hero, as chapters.

In: a random source, and a hero where one is wished for. Out: `Story`, with all that can be asked.
"""

from collections.abc import Callable, Sequence
from random import Random

from models.corpus import plots_of_people, plots_of_things
from models.corpus.cast import Character
from models.corpus.forms import chance, pick, some
from models.corpus.tale import Question, Story, Tale

Plot = Callable[[Tale], None]
PLOTS: tuple[Plot, ...] = plots_of_things.PLOTS + plots_of_people.PLOTS
MORALS = 0.25
CHAPTERS = ("One", "Two", "Three", "Four")


def tell(rng: Random, hero: Character | None = None) -> Story:
    """One story; sometimes its moral stands at the end."""
    return _told(Tale(rng, hero), pick(rng, PLOTS))


def tell_chapters(rng: Random, count: int) -> Story:
    """`count` stories of one hero, one after the other."""
    plots = some(rng, PLOTS, count)
    parts = [_told(Tale(rng), plots[0])]
    hero = parts[0].hero
    parts.extend([_told(Tale(rng, hero, known=True), plot) for plot in plots[1:]])
    texts = [
        f"Chapter {number}: {part.title}\n\n{part.text}"
        for number, part in zip(CHAPTERS, parts, strict=False)
    ]
    return Story(
        pick(rng, (f"The Adventures of {hero}", f"The Book of {hero}", f"{hero}'s Year")),
        "\n\n".join(texts),
        " ".join([part.summary for part in parts]),
        parts[-1].moral,
        hero,
        tuple(dict.fromkeys([who for part in parts for who in part.people])),
        _unambiguous([question for part in parts for question in part.questions]),
    )


def _told(tale: Tale, plot: Plot) -> Story:
    plot(tale)
    tale.moral = tale.line(tale.moral)
    if chance(tale.rng, MORALS):
        tale.pause()
        tale.say("[The moral of the story|The moral]: " + tale.moral)
    return tale.finish()


def _unambiguous(questions: Sequence[Question]) -> tuple[Question, ...]:
    """Those whose words ask for one thing only."""
    asked = [question.text for question in questions]
    return tuple([question for question in questions if asked.count(question.text) == 1])
