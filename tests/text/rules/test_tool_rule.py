"""The grammars of calls: names, arguments, references, and what is not enforced."""

import json
from typing import Any

import pytest
from llguidance import LLMatcher, LLTokenizer

from rowcast.text.chat.call_beginning import beginning_of
from rowcast.text.chat.forms.bare import BARE
from rowcast.text.chat.forms.form import Form
from rowcast.text.chat.forms.tagged import TAGGED
from rowcast.text.rules.grammar import GrammarFault
from rowcast.text.rules.schema_rule import Rule
from rowcast.text.rules.tool_rule import Callee, rule_of_calls, rule_of_optional_calls

from ..tokens.grammar_walk import follows

FORMS = [TAGGED, BARE]


def rule(form: Form, *callees: Callee, several: bool = True) -> Rule:
    return rule_of_calls(form, callees, several=several)


def call(form: Form, name: str, arguments: Any) -> str:
    return form.opening + json.dumps({"name": name, form.arguments: arguments}) + form.closing


def of_u(kind: str) -> dict[str, Any]:
    """Return parameters whose definitions have the same names in every tool."""
    return {
        "$defs": {"U": {"type": kind}, "L": {"type": "array", "items": {"$ref": "#/$defs/U"}}},
        "type": "object",
        "properties": {"u": {"$ref": "#/$defs/U"}, "more": {"$ref": "#/$defs/L"}},
        "required": ["u", "more"],
        "additionalProperties": False,
    }


@pytest.mark.parametrize("form", FORMS)
def test_each_tool_has_its_own_definitions(form: Form) -> None:
    grammar = rule(form, Callee("f", of_u("string")), Callee("g", of_u("integer"))).grammar
    assert follows(grammar, call(form, "f", {"u": "x", "more": ["y"]}))
    assert follows(grammar, call(form, "g", {"u": 1, "more": [2]}))
    assert not follows(grammar, call(form, "f", {"u": 1, "more": []}))
    assert not follows(grammar, call(form, "g", {"u": 1, "more": ["y"]}))
    assert not follows(grammar, call(form, "h", {}))


@pytest.mark.parametrize("form", FORMS)
def test_a_tree_of_arguments(form: Form) -> None:
    node = {
        "type": "object",
        "properties": {"kids": {"type": "array", "items": {"$ref": "#/$defs/Node"}}},
        "required": ["kids"],
        "additionalProperties": False,
    }
    grammar = rule(form, Callee("f", {"$defs": {"Node": node}, "$ref": "#/$defs/Node"})).grammar
    assert follows(grammar, call(form, "f", {"kids": [{"kids": [{"kids": []}]}, {"kids": []}]}))
    assert not follows(grammar, call(form, "f", {"kids": [{}]}))


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize(
    "parameters",
    [
        None,
        {},
        {"type": "object", "properties": {}},
        {"type": "object", "properties": {}, "required": [], "title": "NowArguments"},
        {"type": "object", "properties": {}, "additionalProperties": False},
    ],
)
def test_a_tool_without_parameters_has_none_to_invent(
    form: Form, parameters: dict[str, Any] | None
) -> None:
    grammar = rule(form, Callee("now", parameters)).grammar
    assert follows(grammar, call(form, "now", {}))
    assert not follows(grammar, call(form, "now", {"zone": "UTC"}))


def test_a_map_is_no_empty_object() -> None:
    numbers = {"type": "object", "additionalProperties": {"type": "integer"}}
    for parameters in (numbers, {"type": "object"}):
        grammar = rule(TAGGED, Callee("f", parameters)).grammar
        assert follows(grammar, call(TAGGED, "f", {"a": 1}))


def test_several_calls_where_several_are_wanted() -> None:
    two = call(TAGGED, "f", {}) * 2
    assert follows(rule(TAGGED, Callee("f")).grammar, two)
    assert not follows(rule(TAGGED, Callee("f"), several=False).grammar, two)


TAGS = {"type": "object", "properties": {"tags": {"type": "array", "uniqueItems": True}}}


def test_what_is_not_enforced_is_named_with_its_tool() -> None:
    made = rule(TAGGED, Callee("f", of_u("string"), strict=True), Callee("g", TAGS))
    assert made.unenforced == ("uniqueItems at /properties/tags of g",)
    assert follows(made.grammar, call(TAGGED, "f", {"u": "x", "more": []}))
    with pytest.raises(GrammarFault, match="uniqueItems at /properties/tags cannot be enforced"):
        rule(TAGGED, Callee("g", TAGS, strict=True))


def test_a_reference_out_of_the_tool_is_refused() -> None:
    outside = {"type": "object", "properties": {"a": {"$ref": "#/anyOf/0/properties/name"}}}
    with pytest.raises(GrammarFault, match=r"\$ref at /properties/a"):
        rule(TAGGED, Callee("f", outside))


def test_the_marks_of_an_optional_call_may_be_tokens() -> None:
    tokens = ((7, "<tool_call>"), (8, "</tool_call>"))
    rule = rule_of_optional_calls(TAGGED, [Callee("f")], several=True, tokens=tokens)
    beginning = beginning_of(rule.grammar)
    assert beginning is not None
    assert beginning.shown == tokens
    assert "<[8]>" in rule.grammar
    assert "<[7]>" not in rule.grammar


@pytest.mark.parametrize("form", [TAGGED, BARE])
def test_arguments_of_an_optional_call_are_an_object(form: Form) -> None:
    callees = [
        Callee("f", {"properties": {"a": {"type": "null"}}}),
        Callee("g", {"type": "string"}),
    ]
    rule = rule_of_optional_calls(form, callees, several=False)
    assert rule.unenforced == ("parameters of g",)
    for name in ("f", "g"):
        matcher = LLMatcher(LLTokenizer("byte"), rule.grammar)
        assert matcher.consume_tokens(list(f'{{"name":"{name}","{form.arguments}":'.encode()))
        assert matcher.validate_tokens(list(b"{"))
        assert not any(matcher.validate_tokens([byte]) for byte in b'"[1tn')


def test_a_strict_schema_that_cannot_be_followed_is_a_fault_of_optional_calls() -> None:
    with pytest.raises(GrammarFault):
        rule_of_optional_calls(TAGGED, [Callee("f", {"type": "x"}, strict=True)], several=True)


def test_many_tools_that_exceed_a_bound_together_take_any_object() -> None:
    schema = {
        "type": "object",
        "properties": {f"p{n}": {"enum": ["x" * 40 + str(n)]} for n in range(90)},
    }
    callees = [Callee(f"f{n}", schema) for n in range(64)]
    rule = rule_of_optional_calls(TAGGED, callees, several=True)
    assert rule.unenforced == tuple(f"parameters of {each.name}" for each in callees)
