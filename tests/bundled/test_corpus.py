"""The corpus: the same everywhere, consistent with its worlds, and in whole sentences."""

import hashlib
import json
import re
from functools import cache
from itertools import islice
from random import Random

import pytest

from models.corpus import cast, forms, knowledge, notes, shapes, stories, sums
from models.corpus.documents import ANSWER, Document, document, documents
from models.corpus.tale import ImpossibleError, Ledger, Story, Tale

MADE_THE_MODELS = "ef7b71f9879e82ed357a9b65a9d23f7c72cdec7c519f8cc71cc9d8d171f2086c"


@cache
def many_stories() -> list[Story]:
    return [stories.tell(Random(number)) for number in range(300)]


@cache
def many_documents() -> list[Document]:
    return [*islice(documents(1), 450)]


def test_it_is_the_corpus_that_the_models_learned() -> None:
    text = "".join(doc.text for doc in many_documents())
    assert hashlib.sha256(text.encode()).hexdigest() == MADE_THE_MODELS


def test_a_document_depends_on_seed_and_number_alone() -> None:
    assert document(1, 7) == many_documents()[7]
    assert document(2, 7) != many_documents()[7]
    assert next(documents(1, 7)) == many_documents()[7]


@pytest.mark.parametrize("plot", stories.PLOTS, ids=lambda plot: plot.__name__)
def test_every_question_is_answered_by_the_story(plot: stories.Plot) -> None:
    for number in range(40):
        tale = Tale(Random(number))
        plot(tale)
        story = tale.finish()
        assert len(story.questions) >= 4
        for question in story.questions:
            counted = question.key == "three"  # tries are counted one by one
            assert counted or question.key in story.text, question
            assert question.key in question.answer, question


def test_a_reader_who_knows_the_sentences_alone_comes_to_the_same_answers() -> None:
    asked = 0
    for number in range(300):
        text, questions = notes.note(Random(number))
        holder, place = _read(text)
        for question in questions:
            if found := re.match(r"Who (?:has|is holding) the (.+?)(?: now)?\?", question.text):
                assert holder[found[1]] == question.key, text
                asked += 1
            elif found := re.match(r"Where is (\w+)(?: now)?\?", question.text):
                assert place[found[1]].endswith(question.key), text
                asked += 1
    assert asked > 500


def _read(text: str) -> tuple[dict[str, str], dict[str, str]]:
    """Read, sentence by sentence, who holds which object and where everybody is."""
    holder: dict[str, str] = {}
    place: dict[str, str] = {}
    for said in text.rstrip(".").split(". "):
        if found := re.match(r"(\w+) (?:gives|hands) the (.+) to (\w+)$", said):
            holder[found[2]] = found[3]
        elif found := re.match(r"(\w+) gives (\w+) the (.+)$", said):
            holder[found[3]] = found[2]
        elif found := re.match(r"(\w+) (?:has|picks up|carries|holds) an? (.+)$", said):
            holder[found[2]] = found[1]
        elif found := re.match(r"(\w+) (?:is \w+|(?:goes|walks|runs|moves) to) (the .+)$", said):
            place[found[1]] = found[2]
    return holder, place


def test_no_question_has_two_answers() -> None:
    told = [(f"{at}", story.questions) for at, story in enumerate(many_stories())]
    told += [(f"note {at}", notes.note(Random(at))[1]) for at in range(200)]
    chapters = [stories.tell_chapters(Random(at), 3) for at in range(40)]
    told += [(story.title, story.questions) for story in chapters]
    for where, questions in told:
        answers: dict[str, str] = {}
        for question in questions:
            assert answers.setdefault(question.text, question.answer) == question.answer, where


def test_everybody_in_a_story_has_a_name_of_their_own() -> None:
    assert all(
        len({who.name for who in story.people}) == len(story.people) for story in many_stories()
    )


SLIPS = {
    "a before a vowel": r"\b[Aa] [aeiou]\w+",
    "an before a consonant": r"\b[Aa]n [bcdfgjklmnpqrstvwxyz]\w+",
    "two spaces": r"  ",
    "a field or choice left open": r"[][]|\{[a-z_.]+\}|\|(?!>|[a-z]+\|>|end)",
    "a space before a mark": r"(?<!=) [?.,!]",
    "two marks": r"\?\?|\.\.|,,",
    "a word twice": r"\b([a-z]+) \1\b",
    "a sentence that begins small": r"[.?!] [a-z]",
    "a plural that English lacks": r"\b(potatos|mouses|gooses|cherrys)\b",
}


@pytest.mark.parametrize("slip", SLIPS)
def test_no_text_slips(slip: str) -> None:
    for doc in many_documents():
        found = re.search(SLIPS[slip], _prose(doc))
        assert not found, doc.text[max(0, found.start() - 60) : found.end() + 60]


def _prose(doc: Document) -> str:
    """Return the prose, without chat markers and JSON."""
    text = re.sub(r"<\|\w+\|>", "\n", doc.text)
    return "\n".join(line for line in text.split("\n") if '"' not in line or "said" in line)


def test_a_ledger_refuses_what_cannot_be() -> None:
    rng = Random(1)
    who, other = cast.character(rng), cast.character(rng)
    thing, here = cast.thing(rng), cast.place(rng)
    ledger = Ledger()
    with pytest.raises(ImpossibleError):
        ledger.give(who, other, thing)
    ledger.own(who, thing)
    with pytest.raises(ImpossibleError):
        ledger.own(other, thing)
    ledger.drop(who, thing, here)
    with pytest.raises(ImpossibleError):
        ledger.drop(who, thing, here)
    with pytest.raises(ImpossibleError):
        ledger.take(other, thing, cast.place(rng, (here,)))
    ledger.take(other, thing, here)
    ledger.move(who, here)
    with pytest.raises(ImpossibleError):
        ledger.move(who, here)
    assert ledger.holder == {thing: other}


def test_sums_are_right() -> None:
    seen = 0
    for number in range(400):
        question = sums.sum_question(Random(number))
        found = re.match(r"(\d+) ([-+*]) (\d+) = (\d+)", question.answer)
        if found:
            seen += 1
            a, b = int(found[1]), int(found[3])
            assert {"+": a + b, "-": a - b, "*": a * b}[found[2]] == int(found[4])
    assert seen > 100


def test_json_follows_the_described_shape() -> None:
    kinds = {"string": str, "number": int, "boolean": bool, "list of strings": list}
    for number in range(200):
        for ask in (shapes.json_request, shapes.open_json_request):
            question = ask(Random(number))
            told = dict(re.findall(r'"(\w+)" \(([a-z ]+)\)', question.text))
            made = json.loads(question.answer)
            assert list(made) == list(told)
            assert all(type(made[key]) is kinds[kind] for key, kind in told.items())


def test_knowledge_names_its_key() -> None:
    for number in range(300):
        question = knowledge.general(Random(number))
        assert question.key.lower() in question.answer.lower()


def test_answers_weigh_more_than_what_is_read() -> None:
    weights = {piece.weight for doc in many_documents() for piece in doc.pieces}
    assert max(weights) == ANSWER
    assert len(weights) == 3


@pytest.mark.parametrize(
    ("form", "made"),
    [
        ("plain", {"plain"}),
        ("[a|b] c", {"a c", "b c"}),
        ("[a|[b|c]]{x}", {"a1", "b1", "c1"}),
        ("[|x]y", {"y", "xy"}),
    ],
)
def test_a_form_makes_all_that_it_says_and_nothing_else(form: str, made: set[str]) -> None:
    assert {forms.spin(Random(number), form, x=1) for number in range(60)} == made


@pytest.mark.parametrize("form", ["[a|b", "a]b"])
def test_a_form_with_an_open_bracket_is_refused(form: str) -> None:
    with pytest.raises(ValueError, match="unbalanced"):
        forms.spin(Random(0), form)


@pytest.mark.parametrize(
    ("word", "one", "many"),
    [
        ("owl", "an owl", "owls"),
        ("peach", "a peach", "peaches"),
        ("cherry", "a cherry", "cherries"),
    ],
)
def test_english(word: str, one: str, many: str) -> None:
    assert (forms.an(word), forms.plural(word)) == (one, many)
    assert forms.listed(["a", "b", "c"]) == "a, b and c"
