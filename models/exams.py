"""Checks whether a question about a text was answered correctly; asks questions of held-out texts.

An answer is right if it contains the key (the part that matters) and no other possible answer about
the same text: naming two people when the question asks for one is wrong.
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
    """One question about one text, in one form."""

    prompt: str
    question: Question
    rivals: tuple[str, ...]


def exams(seed: int, kind: str, form: str, count: int) -> list[Exam]:
    """Return questions about texts outside all training, two per text."""
    found: list[Exam] = []
    number = 0
    while len(found) < count:
        rng = Random(f"exam {seed} {kind} {number}")
        number += 1
        text, questions = _text(rng, kind)
        found.extend(
            [
                Exam(_prompt(text, question, form), question, _rivals(question, questions))
                for question in some(rng, questions, 2)
            ]
        )
    return found[:count]


def is_right(exam: Exam, reply: str) -> bool:
    line = reply.strip().split("\n", 1)[0]
    return _holds(line, exam.question.key) and not any(_holds(line, each) for each in exam.rivals)


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
    """Return the keys of other questions, except those contained in the right answer."""
    keys = {other.key for other in questions}
    return tuple(sorted(key for key in keys if not _holds(question.answer, key)))


def _holds(text: str, words: str) -> bool:
    """True if the text contains the words as whole words."""
    return re.search(rf"(?<!\w){re.escape(words)}(?!\w)", text, re.IGNORECASE) is not None
