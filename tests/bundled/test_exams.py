"""Judging answers: the key must be there, and no other candidate."""

import pytest

from models.corpus.tale import Question
from models.exams import FORMS, KINDS, Exam, exams, is_right

EXAM = Exam("…", Question("Who has it?", "Mira has the red kite.", "Mira"), ("Bram", "red hat"))


@pytest.mark.parametrize(
    ("reply", "verdict"),
    [
        ("Mira has the red kite.", True),
        (" mira\n\nQuestion: Who is Bram?", True),
        ("Bram has the red kite.", False),
        ("Mira and Bram have it.", False),
        ("Miranda has it.", False),
        ("", False),
        ("Mira has the red hat.", False),
    ],
)
def test_a_reply_is_judged(reply: str, verdict: bool) -> None:
    assert is_right(EXAM, reply) is verdict


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("kind", KINDS)
def test_the_right_answer_is_right_and_another_is_not(kind: str, form: str) -> None:
    asked = exams(3, kind, form, 60)
    assert all(is_right(exam, exam.question.answer) for exam in asked)
    assert not any(is_right(exam, "I do not know.") for exam in asked)
    assert all(exam.question.text in exam.prompt for exam in asked)
