"""Rules for a reply's text become grammars; what can not be followed says why."""

from collections.abc import Callable

import pytest

from rowcast.text import grammar
from rowcast.text.grammar import GrammarFault


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
    ],
)
def test_a_fault_is_pointed_at(make: Callable[[], str], why: str) -> None:
    with pytest.raises(GrammarFault, match=why.replace("(", r"\(")):
        make()
