"""Rules for a reply's text become grammars; unsupported ones are refused with the reason."""

import json
from collections.abc import Callable

import pytest

from rowcast.text.rules import grammar
from rowcast.text.rules.grammar import GrammarFault

from ..tokens.grammar_walk import follows


@pytest.mark.parametrize(
    "make",
    [
        lambda: grammar.of_json_schema(
            {"type": "object", "properties": {"a": {"type": "integer"}}}
        ),
        lambda: grammar.of_regex("[a-z]+ [0-9]{3}"),
        lambda: grammar.of_choices(['say "hi"', "größer\n"]),
        lambda: grammar.of_lark('start: "a" | "b"'),
    ],
)
def test_a_rule_becomes_a_grammar(make: Callable[[], str]) -> None:
    assert make()


@pytest.mark.parametrize(
    ("make", "why"),
    [
        (lambda: grammar.of_json_schema({"type": "objekt"}), "objekt"),
        (lambda: grammar.of_regex("a(b"), "a(b"),
        (lambda: grammar.of_lark("start: missing"), "missing"),
        (lambda: grammar.of_lark("not a rule at all"), "not a rule"),
    ],
)
def test_a_fault_is_pointed_at(make: Callable[[], str], why: str) -> None:
    with pytest.raises(GrammarFault, match=why.replace("(", r"\(")):
        make()


OBJECT = {
    "type": "object",
    "properties": {"a": {"type": "integer"}, "b": {"type": "array", "items": {"type": "integer"}}},
    "required": ["a", "b"],
    "additionalProperties": False,
}


@pytest.mark.parametrize("indent", [None, 0, 2, 8, "\t"])
def test_json_may_be_compact_or_indented(indent: int | str | None) -> None:
    said = json.dumps({"a": 1, "b": [2, 3]}, indent=indent)
    assert follows(grammar.of_json_schema(OBJECT), said)
    assert follows(grammar.of_json_schema(OBJECT), said.replace(" ", "").replace("\n", "\r\n"))


@pytest.mark.parametrize("space", ["\n\n", " \n", " " * 33, "\t" * 40])
def test_json_goes_on_after_some_white_space(space: str) -> None:
    assert not follows(grammar.of_json_schema(OBJECT), f'{{{space}"a": 1, "b": []}}')


def test_who_asks_for_other_white_space_has_it() -> None:
    asked = OBJECT | {"x-guidance": {"whitespace_pattern": "_?"}}
    assert follows(grammar.of_json_schema(asked), '{_"a":_1,"b":[]}')
    assert not follows(grammar.of_json_schema(asked), '{ "a":1,"b":[]}')
