"""The grammars of tool calls: of a reply that must call a tool, and of one that may.

    must   the whole reply is calls
    may    the reply is free text; the grammar of one call applies from each call's beginning on

A schema that no grammar can follow is refused if the tool must be called, or if it is strict.
Otherwise the arguments of that tool may be any object, and the rule names it.
"""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Final

from rowcast.text.chat.call_beginning import Beginning, with_beginning
from rowcast.text.chat.tool_calls import Form
from rowcast.text.rules import grammar
from rowcast.text.rules.grammar import GrammarFault
from rowcast.text.rules.schema_refs import inside
from rowcast.text.rules.schema_rule import Part, Rule, rule_of_parts
from rowcast.text.rules.schema_tree import Schema, changed

_EMPTY: Final[Schema] = {"type": "object", "properties": {}, "additionalProperties": False}
_SPACE: Final = r"/[ \t\r\n]{0,32}/"
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
    loosened: bool = False  # no grammar can follow its own schema


def rule_of_calls(form: Form, callees: Sequence[Callee], *, several: bool) -> Rule:
    """Return the rule for a reply that calls one of these functions, or several."""
    names = [callee.name for callee in callees]
    parts = [Part(parameters_of(each), each.strict, each.name) for each in callees]
    return rule_of_parts(parts, partial(_grammar, form, names, several=several))


def rule_of_optional_calls(
    form: Form, callees: Sequence[Callee], *, several: bool, tokens: Sequence[tuple[int, str]] = ()
) -> Rule:
    """Return the rule for a reply that may call these functions, once or several times.

    `tokens`: marks of the form that are one token of the model.
    """
    rule = partial(_optional, form, several=several, tokens=tokens)
    try:
        return rule(callees)
    except GrammarFault:
        loosened = [each if _can_be_followed(form, each) else _loose(each) for each in callees]
    try:
        return rule(loosened)
    except GrammarFault:  # together they exceed a bound
        return rule([_loose(each) for each in callees])


def _optional(
    form: Form, callees: Sequence[Callee], *, several: bool, tokens: Sequence[tuple[int, str]]
) -> Rule:
    names = tuple(callee.name for callee in callees)
    tagged = bool(form.opening)
    shown = tuple(tokens)
    beginning = Beginning(form.name, () if tagged else names, several and tagged, shown=shown)
    closing = " | ".join(
        [
            json.dumps(form.closing),
            *(f"<[{token}]>" for token, mark in tokens if mark == form.closing),
        ]
    )

    def make(schemas: Sequence[Schema]) -> str:
        plain = [changed(schema, _without_notes) for schema in schemas]
        call = {"lark_grammar": _one_call(form, names, plain, closing)}
        return grammar.checked(with_beginning([call], beginning))

    parts = [Part(_object(parameters_of(each)), each.strict, each.name) for each in callees]
    rule = rule_of_parts(parts, make)
    loose = [f"parameters of {each.name}" for each in callees if each.loosened]
    return Rule(rule.grammar, (*rule.unenforced, *loose))


def _without_notes(schema: Schema, _: str) -> Schema:
    """Return a schema without notes for its readers, so that many tools fit in a grammar."""
    return {name: value for name, value in schema.items() if name not in _NOTES}


def _can_be_followed(form: Form, callee: Callee) -> bool:
    """True if a grammar can follow the function's schema, or must because it is strict."""
    if callee.strict:
        return True
    try:
        _optional(form, [callee], several=False, tokens=())
    except GrammarFault:
        return False
    return True


def _loose(callee: Callee) -> Callee:
    """Return a function that takes any object, unless its own schema is strict."""
    if callee.strict:
        return callee
    return Callee(callee.name, {"type": "object"}, loosened=True)


def _object(schema: Schema) -> Schema:
    """Return the schema of those values that are objects; nothing else can be arguments."""
    kinds = schema.get("type", "object")
    if "object" not in ([kinds] if isinstance(kinds, str) else kinds):
        raise GrammarFault(f"the type of parameters is {kinds!r}: arguments are an object")
    return {**schema, "type": "object"}


def parameters_of(callee: Callee) -> Schema:
    """Return the schema of the arguments; without parameters, that of an empty object."""
    schema = callee.parameters or {}
    effective = {
        name: value for name, value in schema.items() if name not in _NOTES and value != []
    }
    return _EMPTY if effective in _NO_PARAMETERS else schema


def _grammar(form: Form, names: Sequence[str], schemas: Sequence[Schema], *, several: bool) -> str:
    call = _calls(form, names, schemas)
    if not form.opening:
        return grammar.of_lark(f"start: call\n{call}")
    block = f"{json.dumps(form.opening)} call {json.dumps(form.closing)}"
    return grammar.of_lark(f"start: block{'+' if several else ''}\nblock: {block}\n{call}")


def _one_call(form: Form, names: Sequence[str], schemas: Sequence[Schema], closing: str) -> str:
    """Return the grammar of one call, from its brace on."""
    end = f"{_SPACE} ({closing})" if form.closing else ""
    return f"start: call {end}\n{_calls(form, names, schemas)}"


def _calls(form: Form, names: Sequence[str], schemas: Sequence[Schema]) -> str:
    """Return a Lark rule for the object of a call."""
    calls = [
        _call_schema(form, name, inside(schema, f"/anyOf/{number}/properties/{form.arguments}"))
        for number, (name, schema) in enumerate(zip(names, schemas, strict=True))
    ]
    return f"call: %json {grammar.written({'anyOf': calls})}"


def _call_schema(form: Form, name: str, arguments: Schema) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"name": {"const": name}, form.arguments: arguments},
        "required": ["name", form.arguments],
        "additionalProperties": False,
    }
