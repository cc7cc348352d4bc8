"""Schemas that no grammar can express: what is possible is enforced, and the rest is named.

Covers `schema_disjoint`, `schema_subset`, `schema_tree`.
"""

import json
from contextlib import suppress
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from rowcast.text.chat.forms.tagged import TAGGED
from rowcast.text.rules.grammar import GrammarFault, of_json_schema
from rowcast.text.rules.schema_rule import rule_of_schema
from rowcast.text.rules.tool_rule import Callee, rule_of_calls
from sizes import often

from ..tokens.grammar_walk import follows

TEXT = {"type": "string"}
TAGS = {"type": "array", "items": TEXT}
OBJECT = {
    "type": "object",
    "properties": {"n": {"type": "integer"}},
    "required": ["n"],
    "additionalProperties": False,
}


def of_property(**schema: Any) -> dict[str, Any]:
    """Return the schema of an object with one property, `a`."""
    return {"type": "object", "properties": {"a": schema}, "required": ["a"]}


LEFT_OUT: list[tuple[str, dict[str, Any], str, str]] = [
    ("uniqueItems", {**TAGS, "uniqueItems": True}, '["x"]', "[1]"),
    ("contains", {**TAGS, "contains": {"const": "x"}}, '["x"]', "[1]"),
    ("not", {**TEXT, "not": {"const": "x"}}, '"y"', "1"),
    ("if", {**TEXT, "if": {"minLength": 1}, "then": {"maxLength": 3}}, '"y"', "1"),
    ("propertyNames", {**OBJECT, "propertyNames": {"pattern": "^n$"}}, '{"n": 1}', "1"),
    ("dependentRequired", {**OBJECT, "dependentRequired": {"n": ["n"]}}, '{"n": 1}', "{}"),
    ("dependentSchemas", {**OBJECT, "dependentSchemas": {"n": OBJECT}}, '{"n": 1}', "{}"),
    ("dependencies", {**OBJECT, "dependencies": {"n": ["n"]}}, '{"n": 1}', "{}"),
    ("unevaluatedProperties", {**OBJECT, "unevaluatedProperties": False}, '{"n": 1}', "{}"),
    ("unevaluatedItems", {**TAGS, "unevaluatedItems": False}, '["x"]', "[1]"),
    ("pattern", {**TEXT, "pattern": "^(?!x)"}, '"y"', "1"),
    ("pattern", {**TEXT, "pattern": r"\bword\b"}, '"y"', "1"),
    ("pattern", {**TEXT, "pattern": r"(a)\1"}, '"y"', "1"),
    ("oneOf", {"oneOf": [TEXT, {**TEXT, "maxLength": 3}]}, '"y"', "1"),
    (
        "minProperties",
        {"type": "object", "properties": {"x": TEXT, "y": TEXT}, "minProperties": 1},
        '{"x": "y"}',
        "[]",
    ),
]


@pytest.mark.parametrize(("keyword", "schema", "good", "bad"), LEFT_OUT)
def test_a_keyword_that_no_grammar_follows_is_left_out_and_named(
    keyword: str, schema: dict[str, Any], good: str, bad: str
) -> None:
    with pytest.raises(GrammarFault):
        of_json_schema(of_property(**schema))
    rule = rule_of_schema(of_property(**schema))
    assert rule.unenforced == (f"{keyword} at /properties/a",)
    assert follows(rule.grammar, f'{{"a": {good}}}')
    assert not follows(rule.grammar, f'{{"a": {bad}}}')


@pytest.mark.parametrize(("keyword", "schema"), [each[:2] for each in LEFT_OUT])
def test_a_strict_schema_is_refused_with_the_keyword_and_its_place(
    keyword: str, schema: dict[str, Any]
) -> None:
    with pytest.raises(GrammarFault, match=f"{keyword} at /properties/a") as fault:
        rule_of_schema(of_property(**schema), strict=True)
    assert "strict" in str(fault.value)


@pytest.mark.parametrize(
    "harmless",
    [
        {"uniqueItems": False},
        {"format": "a-format-of-ours"},
        {"if": {"minLength": 3}},
        {"then": {"minLength": 3}},
        {"minContains": 3},
        {"unevaluatedItems": True},
        {"dependentRequired": {}},
        {"not": False},
        {"$dynamicAnchor": "here"},
        {"$schema": "https://example.com/a-dialect-of-ours"},
    ],
)
def test_what_says_nothing_about_a_value_is_no_matter_even_where_it_is_strict(
    harmless: dict[str, Any],
) -> None:
    rule = rule_of_schema(of_property(**TEXT, **harmless), strict=True)
    assert rule.unenforced == ()
    assert follows(rule.grammar, '{"a": "x"}')
    assert not follows(rule.grammar, '{"a": 1}')


@pytest.mark.parametrize(
    "schema",
    [
        {**TEXT, "title": "A", "description": "b", "default": "c", "examples": ["d"],
         "deprecated": True, "readOnly": True, "writeOnly": True, "$comment": "e",
         "contentEncoding": "base64", "contentMediaType": "text/plain", "x-ours": 1},
        {"enum": [1, "a", None, {"x": 1}, [True]]},
        {"const": {"not": [1, None], "uniqueItems": True}},
        {"type": "object", "patternProperties": {"^x-": TEXT}, "additionalProperties": True},
        {"type": "array", "prefixItems": [TEXT, {"type": "integer"}], "items": False},
        {"allOf": [OBJECT, {"type": "object", "properties": {"n": {"minimum": 3}}}]},
        {"type": "object", "minProperties": 2, "additionalProperties": TEXT},
        {"type": "number", "multipleOf": 0.5, "exclusiveMinimum": 0},
        {**TEXT, "format": "date-time"},
        {"$defs": {"A": OBJECT}, "oneOf": [{"$ref": "#/$defs/A"}, TEXT],
         "discriminator": {"propertyName": "n"}},
    ],
)  # fmt: skip
def test_a_schema_that_a_grammar_follows_stays_as_it_is(schema: dict[str, Any]) -> None:
    rule = rule_of_schema(schema, strict=True)
    assert rule.grammar == of_json_schema(schema)
    assert rule.unenforced == ()


def test_names_of_properties_are_no_keywords() -> None:
    names = {"not": TEXT, "if": TEXT, "uniqueItems": TEXT, "oneOf": TEXT, "format": TEXT}
    schema = {"type": "object", "properties": {**names, "tags": {**TAGS, "uniqueItems": True}}}
    rule = rule_of_schema(schema)
    assert rule.unenforced == ("uniqueItems at /properties/tags",)
    assert follows(rule.grammar, '{"not": "a", "if": "b", "uniqueItems": "c", "oneOf": "d"}')
    assert not follows(rule.grammar, '{"not": 1}')


def test_places_are_pointers_into_the_schema_that_was_sent() -> None:
    odd = {**TEXT, "not": {"const": "x"}}
    schema = {
        "$defs": {"A/B~C": odd},
        "oneOf": [of_property(**odd), {"type": "array", "items": {"$ref": "#/$defs/A~1B~0C"}}],
    }
    assert rule_of_schema(schema).unenforced == (
        "not at /$defs/A~1B~0C",
        "not at /oneOf/0/properties/a",
    )


def tagged(*kinds: str, **more: Any) -> dict[str, Any]:
    """Return a union as pydantic writes it: of references, distinguished by a constant."""
    return {
        "$defs": {
            kind: {
                "type": "object",
                "properties": {"kind": {"const": kind, "type": "string"}, "n": {"type": "integer"}},
                "required": ["kind", "n"],
            }
            for kind in kinds
        },
        "oneOf": [{"$ref": f"#/$defs/{kind}"} for kind in kinds],
        **more,
    }


@pytest.mark.parametrize(
    "schema",
    [
        tagged("cat", "dog", "cow"),
        {"$defs": {"A": OBJECT}, "oneOf": [{"$ref": "#/$defs/A"}, {"type": "null"}]},
        {"$defs": {"A": OBJECT}, "oneOf": [{"$ref": "#/$defs/A"}, tagged("cat")["$defs"]["cat"]]},
        {"$defs": {"A": {"enum": ["a", "b"]}, "B": {"enum": ["c", 1]}},
         "oneOf": [{"$ref": "#/$defs/A"}, {"$ref": "#/$defs/B"}]},
        {"$defs": {"A": {"anyOf": [TEXT, {"type": "null"}]}},
         "oneOf": [{"$ref": "#/$defs/A"}, {"type": ["integer", "array"]}]},
    ],
)  # fmt: skip
def test_alternatives_without_a_common_value_are_enforced_through_references(
    schema: dict[str, Any],
) -> None:
    with pytest.raises(GrammarFault, match="oneOf"):
        of_json_schema(schema)
    assert rule_of_schema(schema, strict=True).unenforced == ()


@pytest.mark.parametrize(
    "schema",
    [
        {"$defs": {"A": TEXT}, "oneOf": [{"$ref": "#/$defs/A"}, TEXT]},
        {"oneOf": [{"type": "integer"}, {"type": "number"}]},
        {"oneOf": [{"enum": [1, 2]}, {"enum": [2.0, 3]}]},
        {"$defs": {"A": {"$ref": "#/$defs/A"}}, "oneOf": [{"$ref": "#/$defs/A"}, TEXT]},
        {"oneOf": [OBJECT, {"type": "object", "properties": {"n": {"minimum": 3}}}]},
    ],
)
def test_alternatives_that_may_overlap_are_named(schema: dict[str, Any]) -> None:
    assert rule_of_schema(schema).unenforced == ("oneOf at /",)


def test_both_kinds_of_alternatives_hold() -> None:
    schema = {
        "anyOf": [of_property(**TEXT), of_property(type="integer")],
        "oneOf": [of_property(type="integer"), of_property(type="null")],
        "uniqueItems": True,
    }
    rule = rule_of_schema(schema)
    assert follows(rule.grammar, '{"a": 1}')
    assert not follows(rule.grammar, '{"a": "x"}')
    assert not follows(rule.grammar, '{"a": null}')


def test_patterns_of_names_that_overlap_leave_the_object_open() -> None:
    schema = {
        "type": "object",
        "patternProperties": {"^a": TEXT, "b$": {"type": "integer"}},
        "additionalProperties": False,
    }
    rule = rule_of_schema(schema)
    assert rule.unenforced == ("patternProperties at /", "additionalProperties at /")
    assert follows(rule.grammar, '{"axb": 1, "c": 2}')


@pytest.mark.parametrize(
    ("schema", "says"),
    [
        ({"type": "objekt"}, "objekt"),
        ({**TEXT, "pattern": "a("}, "a\\("),
        ({"type": "integer", "minimum": 5, "maximum": 3}, "greater than"),
        ({"$ref": "https://example.com/x.json"}, "only parts of the schema itself"),
        ({"uniqueItems": True, "type": "objekt"}, "objekt"),
    ],
)
def test_what_is_wrong_stays_wrong(schema: dict[str, Any], says: str) -> None:
    with pytest.raises(GrammarFault, match=says):
        rule_of_schema(schema)


_WORDS = st.sampled_from(
    ["type", "properties", "required", "enum", "const", "oneOf", "anyOf", "allOf", "items", "$ref",
     "$defs", "not", "if", "then", "format", "pattern", "patternProperties", "minProperties",
     "additionalProperties", "$id", "$anchor", "$schema", "uniqueItems", "a"]
)  # fmt: skip
_VALUES = st.recursive(
    st.sampled_from(
        [None, True, False, 0, 3, -1.5, "object", "string", "#", "#/$defs/a", "#a", "("]
    ),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(_WORDS, inner, max_size=4),
    max_leaves=12,
)


@pytest.mark.slow
@settings(max_examples=often(200, 2000), deadline=None)
@given(schema=st.dictionaries(_WORDS, _VALUES, max_size=5), strict=st.booleans())
@example(schema={"anyOf": [], "oneOf": [{}], "allOf": 3, "not": {}}, strict=False)
@example(schema={"oneOf": [{"enum": 3}, {"type": 3}], "format": [], "if": 1}, strict=False)
def test_whatever_is_sent_is_a_rule_or_a_fault(schema: dict[str, Any], strict: bool) -> None:
    with suppress(GrammarFault):
        rule_of_schema(schema, strict=strict)
    with suppress(GrammarFault):
        rule_of_calls(TAGGED, [Callee("f", schema, strict), Callee("g", schema)], several=True)


def deep(levels: int) -> dict[str, Any]:
    schema: dict[str, Any] = TEXT
    for _ in range(levels):
        schema = {"type": "array", "items": schema}
    return schema


def test_depth_is_bounded_before_anything_recurses() -> None:
    assert rule_of_schema(deep(100)).grammar
    for levels in (130, 5000, 100_000):
        with pytest.raises(GrammarFault, match="more than 120 levels"):
            rule_of_schema(deep(levels))


@pytest.mark.slow
def test_many_alternatives_cost_a_bounded_number_of_comparisons() -> None:
    many = tagged(*[f"k{number}" for number in range(400)])
    rule = rule_of_schema(many)
    assert rule.unenforced == ("oneOf at /",)  # 79,800 pairs: not all are compared
    assert "anyOf" in json.loads(rule.grammar)["grammars"][0]["json_schema"]
