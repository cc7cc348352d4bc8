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
from rowcast.text.chat.forms.form import Form
from rowcast.text.rules import grammar
from rowcast.text.rules.grammar import GrammarFault
from rowcast.text.rules.schema_refs import inside
from rowcast.text.rules.schema_rule import Part, Rule, rule_of_parts
from rowcast.text.rules.schema_tree import Schema, changed

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
    loosened: bool = False  # no grammar can follow its own schema


@dataclass(frozen=True, slots=True)
class _Functions:
    """The functions of one rule, as forms write them."""

    names: tuple[str, ...]
    schemas: Sequence[Schema]  # of their arguments
    tokens: Sequence[tuple[int, str]]  # that are marks, and the marks
    several: bool

    def mark(self, mark: str) -> str:
        tokens = [f"<[{token}]>" for token, word in self.tokens if word == mark]
        return " | ".join([json.dumps(mark), *tokens])

    def objects(self, arguments: str) -> str:
        calls = [
            _call_schema(arguments, name, inside(schema, f"/anyOf/{at}/properties/{arguments}"))
            for at, (name, schema) in enumerate(zip(self.names, self.schemas, strict=True))
        ]
        return f"%json {grammar.written({'anyOf': calls})}"

    def each(self) -> list[tuple[str, str]]:
        schemas = [inside(_object(schema), "") for schema in self.schemas]
        written = [f"%json {grammar.written(schema)}" for schema in schemas]
        return list(zip(self.names, written, strict=True))


def rule_of_calls(
    form: Form, callees: Sequence[Callee], *, several: bool, tokens: Sequence[tuple[int, str]] = ()
) -> Rule:
    """Return the rule for a reply that calls one of these functions, or several.

    `tokens`: marks of the form that are one token of the model.
    """
    names = tuple(callee.name for callee in callees)

    def make(schemas: Sequence[Schema]) -> str:
        return grammar.of_lark(form.whole(_Functions(names, schemas, tokens, several)))

    parts = [Part(parameters_of(each), each.strict, each.name) for each in callees]
    return rule_of_parts(parts, make)


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
    needed = names if form.needs_names else ()
    beginning = Beginning(form.name, needed, several and form.repeats, shown=tuple(tokens))

    def make(schemas: Sequence[Schema]) -> str:
        plain = [changed(schema, _without_notes) for schema in schemas]
        call = {"lark_grammar": form.one(_Functions(names, plain, tokens, several))}
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


def _call_schema(name_of_arguments: str, name: str, arguments: Schema) -> dict[str, Any]:
    return {
        "type": "object",
        "properties": {"name": {"const": name}, name_of_arguments: arguments},
        "required": ["name", name_of_arguments],
        "additionalProperties": False,
    }
