"""The corpus: document number n of a seed, as pieces that say how much each counts in training.

In: a seed and a number. Out: a `Document`: plain stories, texts with questions and answers, and
dialogues in the chat format of the tokenizer's template. Here stand the shares of each.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from random import Random

from models.corpus import cast, knowledge, notes, recall, shapes, small_talk, stories, sums, words
from models.corpus.forms import an, chance, number, pick, some, spin
from models.corpus.small_talk import Turn
from models.corpus.tale import Question, Story

END_OF_TEXT, SYSTEM, USER, ASSISTANT, END = SPECIAL = (
    "<|endoftext|>",
    "<|system|>",
    "<|user|>",
    "<|assistant|>",
    "<|end|>",
)
READ, PLAIN, ANSWER = 0.3, 1.0, 3.0
SYSTEMS = (
    "You are a friendly storyteller.",
    "You are a helpful assistant.",
    "Answer in a short sentence.",
    "You are the storyteller. Be kind and brief.",
)


@dataclass(frozen=True, slots=True)
class Piece:
    """Some text, and the weight of its tokens in the loss."""

    text: str
    weight: float


@dataclass(frozen=True, slots=True)
class Document:
    """One text of the corpus."""

    pieces: tuple[Piece, ...]

    @property
    def text(self) -> str:
        return "".join([piece.text for piece in self.pieces])


def document(seed: int, number_: int) -> Document:
    """The same document for the same seed and number, everywhere."""
    rng = Random(f"rowcast {seed} {number_}")
    share = rng.random()
    for limit, build in _SHARES:
        if share < limit:
            return build(rng)
    raise AssertionError("the shares end at one")


def documents(seed: int, first: int = 0) -> Iterator[Document]:
    """Document after document, without end."""
    at = first
    while True:
        yield document(seed, at)
        at += 1


def chat(turns: list[Turn], system: str = "") -> Document:
    """A dialogue in the chat format."""
    pieces = [Piece(f"{SYSTEM}{system}{END}", READ)] if system else []
    for said, answer in turns:
        pieces.append(Piece(f"{USER}{said}{END}{ASSISTANT}", READ))
        pieces.append(Piece(f"{answer}{END}", PLAIN if len(answer) > 200 else ANSWER))
    return Document((*pieces, Piece(END_OF_TEXT, READ)))


def _story(rng: Random) -> Document:
    story = stories.tell(rng)
    head = f"{story.title}\n\n" if chance(rng, 0.15) else ""
    return Document((Piece(head + story.text, PLAIN), Piece(END_OF_TEXT, PLAIN)))


def _story_with_questions(rng: Random) -> Document:
    story = stories.tell(rng)
    return _exam(rng, story.text, some(rng, story.questions, number(rng, 4, 10)))


def _chapters(rng: Random) -> Document:
    story = stories.tell_chapters(rng, number(rng, 2, 4))
    asked = some(rng, story.questions, number(rng, 5, 12))
    return _exam(rng, f"{story.title}\n\n{story.text}", asked)


def _note(rng: Random) -> Document:
    text, questions = notes.note(rng)
    if chance(rng, 0.5):
        return _exam(rng, text, list(questions)[:8])
    return chat(_reading(rng, text, list(questions)[:6]))


def _exam(rng: Random, text: str, questions: list[Question]) -> Document:
    ask, answer = pick(rng, (("Question: ", "Answer:"), ("Question: ", "Answer:"), ("Q: ", "A:")))
    pieces = [Piece(text, PLAIN)]
    for question in questions:
        pieces.append(Piece(f"\n\n{ask}{question.text}\n{answer}", READ))
        pieces.append(Piece(f" {question.answer}", ANSWER))
    return Document((*pieces, Piece(END_OF_TEXT, PLAIN)))


def _reading(rng: Random, text: str, questions: list[Question]) -> list[Turn]:
    """A text and its first question in one message, the others one by one."""
    forms = (
        "[Read this|Read this story|Here is a text]:\n\n{t}\n\n{q}",
        "{t}\n\n{q}",
        "{t}\n\nQuestion: {q}",
        (
            "[Answer the question about the text|Use the text to answer].\n\nText: "
            "{t}\n\nQuestion: {q}"
        ),
    )
    first = spin(rng, pick(rng, forms), t=text, q=questions[0].text)
    return [(first, questions[0].answer), *[(asked.text, asked.answer) for asked in questions[1:]]]


def _read_story(rng: Random) -> Document:
    story = stories.tell(rng)
    turns = _reading(rng, story.text, some(rng, story.questions, number(rng, 3, 8)))
    return chat(turns + _afterthoughts(rng, story), _system(rng))


def _told_story(rng: Random) -> Document:
    """The guest asks for a story, perhaps about somebody, and then about it."""
    asked, story = _wished(rng)
    turns = [
        (asked, story.text),
        *[(q.text, q.answer) for q in some(rng, story.questions, number(rng, 0, 5))],
    ]
    turns.extend(_afterthoughts(rng, story))
    if chance(rng, 0.2):
        again, other = _wished(rng)
        turns.append((again, other.text))
    if chance(rng, 0.3):
        turns.insert(0, small_talk.greeting(rng))
    if chance(rng, 0.3):
        turns.append(small_talk.ending(rng))
    return chat(turns, _system(rng))


def _wished(rng: Random) -> tuple[str, Story]:
    hero = cast.character(rng)
    wish = pick(rng, ("", "kind", "name", "both"))
    form = {
        "": "[Tell me a story|Write a story|Tell me a bedtime story|Can you tell me a story?|A "
        "story, please]",
        "kind": "[Tell me a|Write a|Please tell me a] [story|short story] about {k}",
        "name": "[Tell me a|Write a] story about {h}",
        "both": "[Tell me a|Write a|Make up a] story about {k} [named|called] {h}",
    }[wish]
    asked = spin(rng, form, k=pick(rng, (hero.a_kind, hero.a)), h=hero)
    return asked if asked.endswith("?") else asked + ".", stories.tell(rng, hero)


def _afterthoughts(rng: Random, story: Story) -> list[Turn]:
    turns = (
        (
            (
                "[What is a good title for the story|Give the story a title|What could it be "
                "called][?|]"
            ),
            story.title,
        ),
        (
            (
                "[What is the story about|Sum up the story in a sentence|What happened in the "
                "story][?|]"
            ),
            story.summary,
        ),
        ("[What can we learn from it|What is the moral of the story][?|]", story.moral),
        ("[Who is the story about|Who is the hero][?|]", f"The story is about {story.hero}."),
    )
    chosen = some(rng, turns, number(rng, 0, 2))
    return [(_marked(spin(rng, ask)), answer) for ask, answer in chosen]


def _marked(text: str) -> str:
    """Ends with a mark that fits: questions ask, the others tell."""
    mark = "?" if text.split(maxsplit=1)[0] in ("What", "Who") else "."
    return text.rstrip("?.") + mark


def _talk(rng: Random) -> Document:
    turns = [small_talk.greeting(rng)] if chance(rng, 0.5) else []
    turns.extend(
        [
            pick(rng, (small_talk.about, small_talk.joke, small_talk.mood, _general))(rng)
            for _ in range(number(rng, 1, 3))
        ]
    )
    if chance(rng, 0.2):
        turns.extend(small_talk.riddle(rng))
    if chance(rng, 0.4):
        turns.append(small_talk.ending(rng))
    return chat(turns, _system(rng))


def _remembered(rng: Random) -> Document:
    if chance(rng, 0.4):
        system, turns = small_talk.persona(rng)
        return chat(turns, system)
    return chat(small_talk.remembered(rng), _system(rng))


def _tasks(rng: Random) -> Document:
    """Sums, lists, JSON and general questions, a few in a row."""
    kind = pick(
        rng, (sums.sum_question, shapes.json_request, shapes.list_request, knowledge.general)
    )
    kind = pick(rng, (kind, kind, shapes.open_json_request))
    turns = []
    for _ in range(number(rng, 2, 5)):
        question = kind(rng)
        turns.append((question.text, question.answer))
        if chance(rng, 0.3):
            kind = pick(rng, (sums.sum_question, shapes.list_request, knowledge.general))
    return chat(turns, _system(rng))


def _plain_tasks(rng: Random) -> Document:
    """The same without the chat format: a run of questions and answers."""
    kind = pick(rng, (sums.sum_question, knowledge.general))
    asked = [kind(rng) for _ in range(number(rng, 3, 8))]
    lines = _exam(rng, "", asked).pieces[1:]
    first = Piece(lines[0].text.lstrip(), lines[0].weight)
    return Document((first, *lines[1:]))


def _general(rng: Random) -> Turn:
    question = knowledge.general(rng)
    return question.text, question.answer


def _system(rng: Random) -> str:
    return pick(rng, SYSTEMS) if chance(rng, 0.15) else ""


def _letter(rng: Random) -> Document:
    """A letter from one to another."""
    who = cast.character(rng)
    to = cast.character(rng, (who,))
    place, season = cast.place(rng), pick(rng, words.SEASONS)
    thing = cast.thing(rng)
    text = spin(
        rng,
        "Dear {to},\n\n[How are you|I hope you are well][?|, and that the weather is kind.] [I am "
        "writing to you from {p}|I am sitting {p.at} and thinking of you]. [It is {s}, and|Now, in "
        "{s},] [the days are [long|short]|the birds sing early|everything smells of rain]. "
        "[Yesterday|Last week] I found {t.a}, and I [want to give it to you|thought of you at "
        "once]. "
        "[Do you still like|Please bring some] {to.treats}? [Come and see me soon|Write to me "
        "soon].\n\n"
        "[Your friend|Love|Yours], {c}",
        to=to,
        c=who,
        p=place,
        s=season,
        t=thing,
    ).replace("Please bring some " + to.treats + "?", f"Please bring some {to.treats}.")
    text = text.replace("I hope you are well?", "I hope you are well.").replace(
        "How are you, and that the weather is kind.", "How are you?"
    )
    if chance(rng, 0.5):
        ask = spin(rng, "Write a letter from {c} to {to}.", c=who, to=to)
        return chat([(ask, text)])
    asked = [
        Question("Who wrote the letter?", f"{who} wrote the letter.", str(who)),
        Question("Who is the letter for?", f"The letter is for {to}.", str(to)),
        Question(f"What did {who} find?", f"{who} found {an(thing.bare)}.", thing.bare),
    ]
    return _exam(rng, text, some(rng, asked, 2))


def _recall(rng: Random) -> Document:
    if chance(rng, 0.5):
        return chat(recall.pairs(rng))
    return chat([recall.echo(rng) for _ in range(number(rng, 2, 5))])


_SHARES: tuple[tuple[float, Callable[[Random], Document]], ...] = (
    (0.14, _recall),
    (0.20, _story),
    (0.34, _story_with_questions),
    (0.38, _chapters),
    (0.55, _note),
    (0.70, _read_story),
    (0.83, _told_story),
    (0.87, _talk),
    (0.92, _remembered),
    (0.97, _tasks),
    (0.99, _plain_tasks),
    (1.0, _letter),
)
