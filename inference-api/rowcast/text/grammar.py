"""Rules that a reply's text must follow, as llguidance's grammars, checked before anyone is seated.

In: a JSON schema, a regular expression, choices, or a Lark grammar. Out: the string that
`SamplingParams.grammar` carries. What cannot be followed raises GrammarFault, which says why. The
masks that make a reply follow a grammar are the engine's.
"""

import json
from collections.abc import Sequence
from typing import Any

from llguidance import LLMatcher

from rowcast.errors import RequestError


class GrammarFault(RequestError):
    """The rule for the reply's text is none."""


def of_json_schema(schema: bool | dict[str, Any]) -> str:
    """Compact or spaced JSON of this schema."""
    return checked(LLMatcher.grammar_from_json_schema(json.dumps(schema)))


def of_regex(regex: str) -> str:
    """Text that the whole of a regular expression matches."""
    return checked(LLMatcher.grammar_from_regex(regex))


def of_choices(choices: Sequence[str]) -> str:
    """One of these texts."""
    alternatives = " | ".join(json.dumps(choice, ensure_ascii=False) for choice in choices)
    return of_lark(f"start: {alternatives}")


def of_lark(grammar: str) -> str:
    """Text of a Lark grammar, in llguidance's form of it."""
    return checked(LLMatcher.grammar_from_lark(grammar))


def checked(grammar: str) -> str:
    """A grammar that can be followed; "" is none."""
    fault = LLMatcher.validate_grammar(grammar, None) if grammar else ""
    if fault:
        raise GrammarFault(fault.strip())
    return grammar
