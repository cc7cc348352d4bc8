"""Rules that a reply's text must follow, as llguidance's grammars, checked before anyone is seated.

In: a JSON schema, a regular expression, choices, or a Lark grammar. Out: the string that
`SamplingParams.grammar` carries. What cannot be followed raises GrammarFault, which says why. The
masks that make a reply follow a grammar are the engine's.
"""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from llguidance import LLMatcher, LLParserLimits, LLTokenizer

from rowcast import grammar_limits
from rowcast.errors import RequestError
from rowcast.text.rules.grammar_bounds import excess

# Between two parts of JSON stands at most the end of a line and an indentation: a model that may go
# on with white space for ever sometimes does.
_SPACE = {"x-guidance": {"whitespace_pattern": r"(\r?\n)?[ \t]{0,32}"}}


class GrammarFault(RequestError):
    """The rule for the reply's text is none."""


def of_json_schema(schema: bool | dict[str, Any]) -> str:
    """Compact or spaced JSON of this schema."""
    return checked(LLMatcher.grammar_from_json_schema(written(schema)))


def written(schema: bool | dict[str, Any]) -> str:
    """A JSON schema in llguidance's form of it."""
    return json.dumps(_SPACE | schema if isinstance(schema, dict) else schema)


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
    """A grammar that can be followed; "" is none.

    One that may name tokens is compiled where the model's are known: `fault_of` with those.
    """
    tokens = None if names_tokens(grammar) else _bytes()
    fault = excess(grammar) or fault_of(grammar, tokens) if grammar else ""
    if fault:
        raise GrammarFault(fault.strip())
    return grammar


@cache
def _bytes() -> LLTokenizer:
    """A tokenizer of 256 bytes; making one takes longer than compiling a small schema."""
    return LLTokenizer("byte")


def names_tokens(grammar: str) -> bool:
    """True if a grammar may name tokens: `<|end|>`, `<[7]>`."""
    return "<" in grammar


def fault_of(grammar: str, tokens: LLTokenizer | None) -> str:
    """What llguidance finds wrong, under the bounds that the backend has: compiled, with a mask.

    Without tokens it is read, and not compiled.
    """
    bounds = LLParserLimits(**grammar_limits.PARSER)
    fault = LLMatcher.validate_grammar(grammar, None, limits=bounds)
    if fault or tokens is None:
        return fault
    matcher = LLMatcher(tokens, grammar, log_level=0, limits=bounds)
    if not matcher.is_error():
        matcher.compute_bitmask()
    return matcher.get_error()
