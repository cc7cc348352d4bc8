"""Rules for a reply's text, as llguidance grammars, checked before the reply is seated.

In: a JSON schema, a regular expression, choices, or a Lark grammar. Out: the string for
`SamplingParams.grammar`. A rule that cannot be followed raises GrammarFault with the reason. The
engine makes the masks that enforce a grammar.
"""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any

from llguidance import LLMatcher, LLParserLimits, LLTokenizer

from rowcast import grammar_limits
from rowcast.errors import RequestError
from rowcast.text.rules.grammar_bounds import excess

# Allow at most a line break and an indentation between two parts of JSON: a model that may write
# white space forever sometimes does.
_SPACE = {"x-guidance": {"whitespace_pattern": r"(\r?\n)?[ \t]{0,32}"}}


class GrammarFault(RequestError):
    """The rule for the reply's text is not valid."""


def of_json_schema(schema: bool | dict[str, Any]) -> str:
    """Return the grammar of compact or spaced JSON that follows this schema."""
    return checked(LLMatcher.grammar_from_json_schema(written(schema)))


def written(schema: bool | dict[str, Any]) -> str:
    """Return a JSON schema in llguidance's dialect."""
    return json.dumps(_SPACE | schema if isinstance(schema, dict) else schema)


def of_regex(regex: str) -> str:
    """Return the grammar of text that a regular expression matches as a whole."""
    return checked(LLMatcher.grammar_from_regex(regex))


def of_choices(choices: Sequence[str]) -> str:
    """Return the grammar of one of these texts."""
    alternatives = " | ".join(json.dumps(choice, ensure_ascii=False) for choice in choices)
    return of_lark(f"start: {alternatives}")


def of_lark(grammar: str) -> str:
    """Return the grammar of a Lark grammar in llguidance's dialect."""
    return checked(LLMatcher.grammar_from_lark(grammar))


def checked(grammar: str) -> str:
    """Return the grammar if it can be followed, else raise GrammarFault; "" stands for none.

    A grammar that may name tokens is compiled where the model's tokens are known: `fault_of` with
    those.
    """
    tokens = None if names_tokens(grammar) else _bytes()
    fault = excess(grammar) or fault_of(grammar, tokens) if grammar else ""
    if fault:
        raise GrammarFault(fault.strip())
    return grammar


@cache
def _bytes() -> LLTokenizer:
    """Return a tokenizer of 256 bytes; making one takes longer than compiling a small schema."""
    return LLTokenizer("byte")


def names_tokens(grammar: str) -> bool:
    """True if a grammar may name tokens: `<|end|>`, `<[7]>`."""
    return "<" in grammar


def fault_of(grammar: str, tokens: LLTokenizer | None) -> str:
    """Return llguidance's error under the backend's bounds, after compiling and making a mask.

    Without tokens, the grammar is only parsed.
    """
    bounds = LLParserLimits(**grammar_limits.PARSER)
    fault = LLMatcher.validate_grammar(grammar, None, limits=bounds)
    if fault or tokens is None:
        return fault
    matcher = LLMatcher(tokens, grammar, log_level=0, limits=bounds)
    if not matcher.is_error():
        matcher.compute_bitmask()
    return matcher.get_error()
