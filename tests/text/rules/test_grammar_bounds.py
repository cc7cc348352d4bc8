"""Bounds of grammars: the error names the bound, and ordinary grammars exceed none.

Covers `grammar_limits`.
"""

import json
import random
from typing import Any

import pytest
from llguidance import LLMatcher

from engine.schemas import random_schema
from rowcast import grammar_limits
from rowcast.text.rules.grammar import GrammarFault, checked, of_json_schema, of_lark, of_regex
from rowcast.text.rules.grammar_bounds import excess

TEXT = {"type": "string"}
Schema = dict[str, Any]


def closed(**properties: Any) -> Schema:
    return {
        "type": "object",
        "properties": properties,
        "required": list(properties),
        "additionalProperties": False,
    }


def chain(links: int, key: str = "$defs") -> Schema:
    definitions: Schema = {f"a{at}": {"$ref": f"#/{key}/a{at + 1}"} for at in range(links)}
    return {"$ref": f"#/{key}/a0", key: {**definitions, f"a{links}": TEXT}}


def interface(models: int, fields: int) -> Schema:
    """Return a schema as large as an API's description, with references everywhere."""
    chance = random.Random(models)

    def field() -> Schema:
        model = {"$ref": f"#/$defs/Model{chance.randrange(models)}"}
        return chance.choice(
            [
                {**TEXT, "description": "some words that describe the field at length"},
                {"type": "number", "minimum": 0, "maximum": 1000, "multipleOf": 0.01},
                {"type": "array", "items": model},
                {"anyOf": [model, {"type": "null"}]},
                {"enum": [f"state_{at}" for at in range(8)]},
                {**TEXT, "format": "date-time"},
                {**TEXT, "maxLength": 200},
            ]
        )

    definitions = {
        f"Model{at}": closed(**{f"field_{number}": field() for number in range(fields)})
        for at in range(models)
    }
    return {"$defs": definitions, "$ref": "#/$defs/Model0"}


ORDINARY: dict[str, Schema] = {
    "interface": interface(60, 12),
    "enum of 1,000": {"enum": [f"Value number {at} of the list" for at in range(1000)]},
    "recursive": {
        "$ref": "#/$defs/Node",
        "$defs": {"Node": closed(value=TEXT, kids={"items": {"$ref": "#/$defs/Node"}})},
    },
    "union of 50": {"anyOf": [closed(kind={"const": f"kind {at}"}) for at in range(50)]},
    "200 optional": {"type": "object", "properties": {f"name_{at}": TEXT for at in range(200)}},
    "prices": closed(price={"multipleOf": 0.01}, pack={"multipleOf": 5}, dozen={"multipleOf": 12}),
    "long texts": closed(text={**TEXT, "maxLength": 65_535}, more={**TEXT, "maxLength": 100_000}),
    "inheritance": {
        "allOf": [{"$ref": "#/$defs/A"}, {"properties": {"a": {"maxLength": 30}}}],
        "$defs": {"A": {"type": "object", "properties": {"a": TEXT}, "required": ["a"]}},
    },
    "shallow chain": chain(200),
    "property of that name": closed(multipleOf=TEXT, allOf=TEXT, pattern=TEXT),
}


@pytest.mark.parametrize("name", ORDINARY)
def test_ordinary_schemas_pass(name: str) -> None:
    assert of_json_schema(ORDINARY[name])
    nested = f'start: "<call>" call\ncall: %json {json.dumps(ORDINARY[name])}'
    assert of_lark(nested) == nested


@pytest.mark.slow
def test_random_schemas_pass() -> None:
    for seed in range(200):
        assert of_json_schema(random_schema(random.Random(seed), 4))


@pytest.mark.parametrize(
    ("schema", "words"),
    [
        (chain(1_500), "nests 1,501 deep through its references; at most 500 is allowed"),
        (chain(1_500, "properties"), "deep through its references; at most 500 is allowed"),
        (
            json.loads('{"items":' * 200 + "{}" + "}" * 200),
            "deep; at most 120 are allowed",
        ),
        (
            {"type": "integer", "multipleOf": 1999993},
            "1,999,993 remainders; at most 20,000",
        ),
        ({"allOf": [{"multipleOf": 19_997}, {"multipleOf": 19_993}]}, "at most 20,000 are allowed"),
        ({"multipleOf": 1e-12}, "more than 9 decimals"),
        ({"allOf": [{**TEXT, "pattern": f"a{at}"} for at in range(20)]}, "joins 20 patterns"),
        ({"enum": ["x" * 300_000]}, "characters; at most 262,144 are allowed"),
        ({"anyOf": [{"$ref": f"#a{at}"} for at in range(40)]}, "references of other forms"),
    ],
)
def test_a_schema_that_exceeds_a_bound_is_refused_wherever_it_stands(
    schema: Schema, words: str
) -> None:
    with pytest.raises(GrammarFault, match=words):
        of_json_schema(schema)
    with pytest.raises(GrammarFault, match=words):
        of_lark(f"start: call\ncall: %json {json.dumps(schema)}")


@pytest.mark.parametrize(
    ("lark", "words"),
    [
        (
            "start: r0\n" + "\n".join(f"r{at}: r{at + 1}" for at in range(3_000)),
            "at most 500",
        ),
        (
            "start: T0\n" + "\n".join(f"T{at}: T{at + 1}" for at in range(3_000)),
            "at most 500",
        ),
        ("start: " + "r? " * 40_000 + '\nr: "a"', "number of symbols"),
        ('start: a::0\na::_ : "x" | a::incr(_) "y"', "parametric rules"),
        ("start: " + " | ".join(f'"word {at}"' for at in range(50_000)), "characters; at most"),
        ("start: a\na: %json " + "[" * 5_000, "nests too deep"),
    ],
)
def test_a_grammar_that_exceeds_a_bound_is_refused(lark: str, words: str) -> None:
    with pytest.raises(GrammarFault, match=words):
        of_lark(lark)


@pytest.mark.parametrize(
    "lark",
    [
        'start: "a::b" | /c::d/ // e::f',
        'start: r*\nr: "%json {" | /%json \\{/',
        'start: e\ne: e "+" t | t\nt: /[0-9]+/\n%ignore / +/',
    ],
)
def test_texts_expressions_and_comments_are_not_taken_for_rules(lark: str) -> None:
    assert of_lark(lark) == lark


def test_special_tokens_are_left_to_the_model_s_own_check() -> None:
    lark = 'start: "a" <|im_end|>'
    assert of_lark(lark) == lark


def test_a_regular_expression_may_repeat_often() -> None:
    assert of_regex("a{0,100000}(b{1,300}c?){2,900}")


def test_a_schema_at_the_bound_of_references_is_compiled() -> None:
    levels = grammar_limits.LEVELS
    assert of_json_schema(chain(levels - 1))
    assert "at most" in excess(LLMatcher.grammar_from_json_schema(json.dumps(chain(levels))))


def test_what_is_no_grammar_is_left_to_llguidance() -> None:
    assert excess("{ no json") == excess("nonsense {") == ""
    assert checked("") == ""
