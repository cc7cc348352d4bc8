"""Replies that follow a rule: every form in which a rule is sent, and the errors for a bad one.

Covers `bodies/rules`.
"""

import json
import re
from typing import Any

import pytest

from ...serving import Served
from .asking import CHAT, COMPLETIONS, chat, complete, events, reasons, refusal, texts

SCHEMA = {
    "type": "object",
    "properties": {"age": {"type": "integer"}, "ok": {"type": "boolean"}},
    "required": ["age", "ok"],
    "additionalProperties": False,
}
NAMED = {"name": "person", "schema": SCHEMA, "strict": True}
LONG = {"seed": 3, "max_tokens": 400}


def follows_schema(text: str) -> bool:
    value = json.loads(text)
    return set(value) == {"age", "ok"} and type(value["age"]) is int and type(value["ok"]) is bool


@pytest.mark.parametrize(
    "asked",
    [
        {"response_format": {"type": "json_schema", "json_schema": NAMED}},
        {"structured_outputs": {"json": SCHEMA}},
        {"guided_json": SCHEMA},
        {"guided_json": json.dumps(SCHEMA)},
    ],
)
def test_a_schema_has_four_forms(served: Served, asked: dict[str, Any]) -> None:
    (choice,) = chat(served, **LONG, **asked)["choices"]
    assert choice["finish_reason"] == "stop"
    assert follows_schema(choice["message"]["content"])


def test_every_choice_follows_and_streams_the_same(served: Served) -> None:
    asked = {**LONG, "n": 3, "guided_json": SCHEMA}
    whole = [choice["message"]["content"] for choice in chat(served, **asked)["choices"]]
    assert all(map(follows_schema, whole))
    assert len(set(whole)) > 1
    chunks = events(served, CHAT, **asked)
    assert texts(chunks, 3) == whole
    assert set(reasons(chunks).values()) == {"stop"}


def test_any_object(served: Served) -> None:
    asked = {"response_format": {"type": "json_object"}}
    seeds = (complete(served, seed=seed, max_tokens=150, **asked)["choices"] for seed in range(9))
    text = next(choice["text"] for (choice,) in seeds if choice["finish_reason"] == "stop")
    assert isinstance(json.loads(text), dict)


@pytest.mark.parametrize(
    ("asked", "pattern"),
    [
        ({"guided_regex": "[a-c]{3}-[0-9]{2}"}, "[a-c]{3}-[0-9]{2}"),
        ({"structured_outputs": {"regex": "x+y"}}, "x+y"),
        ({"guided_choice": ["yes", "größer"]}, "yes|größer"),
        ({"structured_outputs": {"choice": ["a", "b"]}}, "a|b"),
        ({"guided_grammar": 'start: "a" ("b" | "c")'}, "a[bc]"),
        ({"response_format": {"type": "grammar", "grammar": 'start: "q"'}}, "q"),
    ],
)
def test_other_rules(served: Served, asked: dict[str, Any], pattern: str) -> None:
    for seed in range(4):
        (choice,) = complete(served, seed=seed, max_tokens=200, **asked)["choices"]
        if choice["finish_reason"] == "stop":
            assert re.fullmatch(pattern, choice["text"]), choice["text"]


def test_any_text_may_be_asked_for(served: Served) -> None:
    plain = complete(served, seed=3)["choices"]
    assert complete(served, seed=3, response_format={"type": "text"})["choices"] == plain


@pytest.mark.parametrize(
    ("asked", "param", "says"),
    [
        ({"guided_regex": "a(b"}, "guided_regex", "a(b"),
        ({"guided_json": "{"}, "guided_json", "not JSON"),
        ({"guided_json": "[]"}, "guided_json", "object"),
        ({"guided_json": {"type": "objekt"}}, "guided_json", "objekt"),
        ({"guided_grammar": "start: nowhere"}, "guided_grammar", "nowhere"),
        ({"guided_choice": []}, "guided_choice", ""),
        ({"structured_outputs": {"reg": "a"}}, "structured_outputs.reg", ""),
        ({"guided_regex": "a", "guided_choice": ["a"]}, "guided_choice", "guided_regex"),
        (
            {"response_format": {"type": "json_schema", "json_schema": {"name": "a"}}},
            "response_format.json_schema.schema",
            "missing",
        ),
    ],
)
def test_a_bad_rule_is_a_400_that_points_at_the_fault(
    served: Served, asked: dict[str, Any], param: str, says: str
) -> None:
    error = refusal(served.post(COMPLETIONS, model="scripted", prompt="a", **asked))
    assert error["param"] == param
    assert says in error["message"]
    assert served.engine.seatings == []
