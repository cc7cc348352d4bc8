"""Which rule a reply must follow: OpenAI's `response_format`, and the keys that vLLM's users know.

One rule a request. A rule that cannot be followed is a 400 that names its field and the fault.
"""

from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

from rowcast.errors import InvalidField
from rowcast.frontend.api.openai.bodies import (
    GrammarFormat,
    JsonObjectFormat,
    Sampling,
    SchemaFormat,
    StructuredOutputs,
)
from rowcast.text import bounded_json, grammar
from rowcast.text.grammar import GrammarFault

_OBJECT = {"type": "object"}

Rule = tuple[str, Callable[[], str]]  # the field that asks, and what makes the grammar


def grammar_of(body: Sampling) -> str:
    """The grammar that a body asks for; "" for any text."""
    rules = list(_rules(body))
    if len(rules) > 1:
        names = " and ".join(name for name, _ in rules)
        raise InvalidField(rules[1][0], f"can not be sent with another rule: {names}")
    return _made(*rules[0]) if rules else ""


def _made(name: str, make: Callable[[], str]) -> str:
    try:
        return make()
    except GrammarFault as fault:
        raise InvalidField(name, f"can not be followed: {fault}") from fault


def _rules(body: Sampling) -> Iterator[Rule]:
    yield from _format_rules(body)
    outputs = body.structured_outputs
    if outputs is not None:
        yield from _output_rules(outputs, "structured_outputs.")
    guided = StructuredOutputs(
        json=body.guided_json,
        regex=body.guided_regex,
        choice=body.guided_choice,
        grammar=body.guided_grammar,
    )
    yield from _output_rules(guided, "guided_")


def _format_rules(body: Sampling) -> Iterator[Rule]:
    match body.response_format:
        case JsonObjectFormat():
            yield "response_format", partial(grammar.of_json_schema, _OBJECT)
        case SchemaFormat(json_schema=named):
            field = "response_format.json_schema.schema"
            if named.schema is None:
                raise InvalidField(field, "is missing")
            yield field, partial(grammar.of_json_schema, named.schema)
        case GrammarFormat(grammar=text):
            yield "response_format.grammar", partial(grammar.of_lark, text)


def _output_rules(outputs: StructuredOutputs, before: str) -> Iterator[Rule]:
    if outputs.json is not None:
        name = f"{before}json"
        yield name, partial(grammar.of_json_schema, _schema(name, outputs.json))
    if outputs.regex is not None:
        yield f"{before}regex", partial(grammar.of_regex, outputs.regex)
    if outputs.choice is not None:
        yield f"{before}choice", partial(grammar.of_choices, outputs.choice)
    if outputs.grammar is not None:
        yield f"{before}grammar", partial(grammar.of_lark, outputs.grammar)
    if outputs.json_object:
        yield f"{before}json_object", partial(grammar.of_json_schema, _OBJECT)


def _schema(field: str, schema: str | dict[str, Any]) -> dict[str, Any]:
    """A schema that may come as a string of JSON."""
    if not isinstance(schema, str):
        return schema
    try:
        read = bounded_json.loads(schema)
    except bounded_json.TooDeep as error:
        raise InvalidField(field, f"is {error}") from error
    except ValueError as error:
        raise InvalidField(field, f"is not JSON: {error}") from error
    if not isinstance(read, dict):
        raise InvalidField(field, "is not a JSON schema: expected an object")
    return read
