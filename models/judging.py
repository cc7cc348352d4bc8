"""Was a question about a text answered rightly? And the questions of held-out texts.

An answer is right when it has the key (the part that matters) and none of what else could have been
answered about the same text: naming two people where one was asked for is wrong.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

from models.corpus import notes, stories
from models.corpus.documents import ASSISTANT, END, USER
from models.corpus.forms import some
from models.corpus.tale import Question

FORMS = ("plain", "chat")
KINDS = ("stories", "notes")


@dataclass(frozen=True, slots=True)
class Exam:
    """One question, asked in one form about one text."""

    prompt: str
    question: Question
    rivals: tuple[str, ...]


def exams(seed: int, kind: str, form: str, count: int) -> list[Exam]:
    """Questions about texts that no training saw, two a text."""
    found: list[Exam] = []
    number = 0
    while len(found) < count:
        rng = Random(f"exam {seed} {kind} {number}")
        number += 1
        text, questions = _text(rng, kind)
        found.extend(
            [
                Exam(_prompt(text, asked, form), asked, _rivals(asked, questions))
                for asked in some(rng, questions, 2)
            ]
        )
    return found[:count]


def right(exam: Exam, reply: str) -> bool:
    said = reply.strip().split("\n", 1)[0]
    return _holds(said, exam.question.key) and not any(_holds(said, each) for each in exam.rivals)


def _text(rng: Random, kind: str) -> tuple[str, tuple[Question, ...]]:
    if kind == "notes":
        return notes.note(rng)
    story = stories.tell(rng)
    return story.text, story.questions


def _prompt(text: str, question: Question, form: str) -> str:
    if form == "plain":
        return f"{text}\n\nQuestion: {question.text}\nAnswer:"
    return f"{USER}{text}\n\n{question.text}{END}{ASSISTANT}"


def _rivals(question: Question, questions: Sequence[Question]) -> tuple[str, ...]:
    """What else is asked for, but for what the right answer itself says."""
    keys = {other.key for other in questions}
    return tuple(sorted(key for key in keys if not _holds(question.answer, key)))


def _holds(text: str, words: str) -> bool:
    """Whether the words stand in the text as words."""
    return re.search(rf"(?<!\w){re.escape(words)}(?!\w)", text, re.IGNORECASE) is not None
