"""The grammar of a reply that must call a tool."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from rowcast.text.chat.tool_calls import Form
from rowcast.text.rules import grammar
from rowcast.text.rules.schema_refs import inside
from rowcast.text.rules.schema_rule import Part, Rule, rule_of_parts
from rowcast.text.rules.schema_tree import Schema

_EMPTY: Final[Schema] = {"type": "object", "properties": {}, "additionalProperties": False}
_NOTES: Final = frozenset({"title", "description", "$schema", "$comment"})
_NO_PARAMETERS: Final[tuple[Schema, ...]] = (
    {},
    {"type": "object", "properties": {}},
    {"properties": {}},
)


@dataclass(frozen=True, slots=True)
class Callee:
    """The parts of a function that a rule needs."""

    name: str
    parameters: Schema | None = None
    strict: bool = False


def rule_of_calls(form: Form, callees: Sequence[Callee], *, several: bool) -> Rule:
    """Return the rule for a reply that calls one of these functions, or several."""
    names = [callee.name for callee in callees]
    parts = [Part(parameters_of(each), each.strict, each.name) for each in callees]
    return rule_of_parts(parts, partial(_grammar, form, names, several=several))


def parameters_of(callee: Callee) -> Schema:
    """Return the schema of the arguments; without parameters, that of an empty object."""
    schema = callee.parameters or {}
    effective = {
        name: value for name, value in schema.items() if name not in _NOTES and value != []
    }
    return _EMPTY if effective in _NO_PARAMETERS else schema


def _grammar(form: Form, names: Sequence[str], schemas: Sequence[Schema], *, several: bool) -> str:
    calls = [
        _call_schema(form, name, inside(schema, f"/anyOf/{number}/properties/{form.arguments}"))
        for number, (name, schema) in enumerate(zip(names, schemas, strict=True))
    ]
    call = f"%json {grammar.written({'anyOf': calls})}"
    if not form.opening:
        return grammar.of_lark(f"start: call\ncall: {call}")
    block = f"{json.dumps(form.opening)} call {json.dumps(form.closing)}"
    return grammar.of_lark(f"start: block{'+' if several else ''}\nblock: {block}\ncall: {call}")


def _call_schema(form: Form, name: str, arguments: Schema) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"name": {"const": name}, form.arguments: arguments},
        "required": ["name", form.arguments],
        "additionalProperties": False,
    }
