"""Reranking: the order and the scores of documents, every form of body, and what is refused.

Covers `api/rerank`, `rerank/types`, `rerank/prompts`, `rerank/openapi`.
"""

import math
from collections.abc import Sequence
from typing import Any

import pytest

from engine import rule
from rowcast.text.chat.template import ChatTemplate
from rowcast.text.ranking import NO_RANKING, RankForm

from ...serving import Served, serving
from ..openai.asking import refusal

PATH = "/v1/rerank"
QUERY = "Which row is it?"
DOCUMENTS = [f"Row {at} is near the {'very ' * at}end." for at in range(20)]
TEMPLATE = """\
{% for each in messages if each.role == "system" %}{{ each.content }}: {% endfor -%}
{% for each in messages if each.role in ("query", "document") %}<{{ each.content }}>{% endfor %}"""


def body(**fields: Any) -> dict[str, Any]:
    return {"model": "scripted", "query": QUERY, "documents": DOCUMENTS} | fields


def ranked(served: Served, path: str = PATH, **fields: Any) -> dict[str, Any]:
    response = served.post(path, **body(**fields))
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.get_json()
    return found


def relevance(prompt: str) -> float:
    """Return the probability of y among y and n, by the scripted model's rule."""
    yes, no = (rule.fp32(rule.logprob(prompt.encode(), ord(each))) for each in "yn")
    return 1 / (1 + math.exp(no - yes))


def expected(prompts: Sequence[str]) -> list[tuple[int, float]]:
    """Return places and scores in the order of an answer."""
    scores = [relevance(each) for each in prompts]
    return sorted(enumerate(scores), key=lambda each: -each[1])


def results(answer: dict[str, Any]) -> list[tuple[int, float]]:
    return [(each["index"], each["relevance_score"]) for each in answer["results"]]


@pytest.mark.parametrize("path", [PATH, "/v2/rerank", "/rerank"])
def test_documents_are_ordered_by_their_scores(served: Served, path: str) -> None:
    answer = ranked(served, path, model="falcon40b")
    prompts = [QUERY + each for each in DOCUMENTS]
    assert results(answer) == [pytest.approx(each) for each in expected(prompts)]
    for each in answer["results"]:
        assert each["document"] == {"text": DOCUMENTS[each["index"]]}
    tokens = sum(map(len, prompts))
    assert answer["usage"] == {"prompt_tokens": tokens, "total_tokens": tokens}
    assert answer["model"] == "falcon40b"


def test_the_answer_is_a_function_of_the_body(served: Served) -> None:
    assert ranked(served) == ranked(served)
    assert ranked(served)["id"] != ranked(served, query="Another?")["id"]


def test_a_document_has_its_score_in_any_list(served: Served) -> None:
    found = dict(results(ranked(served)))
    for at in (0, 7, 19):
        ((_, score),) = results(ranked(served, documents=[DOCUMENTS[at]]))
        assert score == found[at]


@pytest.mark.parametrize(("top", "count"), [(1, 1), (5, 5), (20, 20), (500, 20), (None, 20)])
def test_only_the_best_are_answered(served: Served, top: int | None, count: int) -> None:
    assert results(ranked(served, top_n=top)) == results(ranked(served))[:count]


def test_a_document_may_be_an_object_and_need_not_be_returned(served: Served) -> None:
    objects: list[Any] = [{"text": each, "title": "ignored"} for each in DOCUMENTS]
    assert results(ranked(served, documents=objects)) == results(ranked(served))
    bare = ranked(served, documents=[*objects[:3], *DOCUMENTS[3:]], return_documents=False)
    assert results(bare) == results(ranked(served))
    assert all(set(each) == {"index", "relevance_score"} for each in bare["results"])


def test_equal_documents_are_in_the_order_of_the_request(served: Served) -> None:
    found = results(ranked(served, documents=["a", "b", "a", "a"]))
    assert [at for at, _ in found if at != 1] == [0, 2, 3]


def test_a_template_shows_query_document_and_instruction() -> None:
    with serving(chat=ChatTemplate(TEMPLATE)) as served:
        prompts = [f"<{QUERY}><{each}>" for each in DOCUMENTS]
        assert results(ranked(served)) == [pytest.approx(each) for each in expected(prompts)]
        instructed = [f"Find rows: {each}" for each in prompts]
        found = results(ranked(served, instruction="Find rows"))
        assert found == [pytest.approx(each) for each in expected(instructed)]


def test_a_document_is_cut_only_if_requested(served: Served) -> None:
    found = results(ranked(served, max_tokens_per_doc=7))
    cut = [QUERY + each[:7] for each in DOCUMENTS]
    assert found == [pytest.approx(each) for each in expected(cut)]


def test_documents_fork_the_query(served: Served) -> None:
    query = "x" * 1000
    ranked(served, query=query, documents=DOCUMENTS[:16])
    assert served.engine.forks[-15:] == [pytest.approx(1000, abs=20)] * 15
    fed = sum(len(feed.tokens) for feeds in served.engine.steps for feed in feeds)
    assert fed < 1000 + sum(map(len, DOCUMENTS[:16]))


def test_a_label_is_a_score() -> None:
    with serving(ranking=RankForm()) as served:
        error = refusal(served.post(PATH, **body()))
        assert "is no classifier" in error["message"]  # the scripted model has no label


def test_one_token_is_a_score_too() -> None:
    with serving(ranking=RankForm((121,))) as served:
        found = dict(results(ranked(served)))
    logit = rule.fp32(rule.logprob((QUERY + DOCUMENTS[3]).encode(), 121))
    assert found[3] == pytest.approx(1 / (1 + math.exp(-logit)))


@pytest.mark.parametrize(
    ("fields", "param", "message"),
    [
        ({"documents": []}, "documents", "length >= 1"),
        ({"documents": "a"}, "documents", "expected a list"),
        ({"documents": ["a", 3]}, "documents[1]", "is invalid"),
        ({"documents": ["a", {"title": "b"}]}, "documents[1].text", "is missing"),
        ({"documents": ["a"] * 2049}, "documents", "length <= 2048"),
        ({"query": ""}, "query", "length >= 1"),
        ({"query": None}, "query", "expected a string"),
        ({"top_n": 0}, "top_n", ">= 1"),
        ({"top_n": True}, "top_n", "expected a whole number"),
        ({"max_tokens_per_doc": 0}, "max_tokens_per_doc", ">= 1"),
        ({"rank_fields": ["a"]}, "rank_fields", "is not a known argument"),
        ({"model": "unknown"}, "model", "does not exist"),
        ({"instruction": "Find"}, "instruction", "template"),
    ],
)
def test_what_is_refused(served: Served, fields: dict[str, Any], param: str, message: str) -> None:
    error = refusal(served.post(PATH, **body(**fields)), 404 if param == "model" else 400)
    assert error["param"] == param
    assert message in error["message"]
    assert served.engine.seatings == []


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"documents": ["a", "b" * 5000, "c"]}, "documents[1] has at least 5"),
        ({"documents": ["a", "b" * 4090]}, "documents[1] has at least 4106 tokens"),
        ({"query": "a" * 5000}, "documents[0]"),
    ],
)
def test_a_prompt_that_is_too_long_is_named(
    served: Served, fields: dict[str, Any], named: str
) -> None:
    error = refusal(served.post(PATH, **body(**fields)))
    assert error["code"] == "context_length_exceeded"
    assert named in error["message"]
    assert served.engine.seatings == []


def test_a_model_that_ranks_nothing_names_both_forms() -> None:
    with serving(ranking=NO_RANKING) as served:
        error = refusal(served.post(PATH, **body()))
    assert error["param"] == "model"
    assert "roles query and document" in error["message"]
    assert "ForSequenceClassification" in error["message"]


def test_a_template_that_refuses_is_the_callers_fault() -> None:
    template = '{{ raise_exception("no " ~ messages[0].role) }}{{ "query" ~ "document" }}'
    with serving(chat=ChatTemplate(template)) as served:
        error = refusal(served.post(PATH, **body()))
    assert "do not fit the model's template: no query" in error["message"]


def test_many_documents_of_any_length_are_tokenized_in_groups(served: Served) -> None:
    texts = [chr(97 + at % 26) * (at * 90 + 1) for at in range(40)]
    found = dict(results(ranked(served, documents=texts)))
    assert found[39] == pytest.approx(relevance(QUERY + texts[39]))
    assert found[0] == pytest.approx(relevance(QUERY + texts[0]))
