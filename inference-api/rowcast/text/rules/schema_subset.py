"""The subset of a JSON schema that a grammar can follow, and the list of what is left out.

`Subset.of(schema)` returns a looser schema, of keywords that the grammar library implements, and a
list of what was left out: `uniqueItems at /properties/tags`. Keywords that do not restrict values
(an annotation, an unknown format, `uniqueItems: false`) are left out without mention. `oneOf`
becomes `anyOf`: the same if its schemas have no value in common.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from rowcast.text.rules.schema_disjoint import Disjoint
from rowcast.text.rules.schema_tree import Schema, changed

COUNTED: Final = frozenset({"minProperties", "maxProperties"})
PATTERNED: Final = frozenset({"patternProperties"})

# Keywords that the library does not implement, and the values with which they have no effect.
_UNKNOWN: Final[Mapping[str, tuple[object, ...]]] = {
    "uniqueItems": (False,),
    "contains": (),
    "minContains": (0,),
    "maxContains": (),
    "propertyNames": (True, {}),
    "dependentRequired": ({},),
    "dependentSchemas": ({},),
    "dependencies": ({},),
    "unevaluatedProperties": (True, {}),
    "unevaluatedItems": (True, {}),
    "not": (False,),
    "if": (),
    "$dynamicRef": (),
    "$recursiveRef": (),
}
_WITH_OTHERS: Final = {  # no effect by themselves
    "if": ("then", "else"),
    "minContains": ("contains",),
    "maxContains": ("contains",),
}
_SILENT: Final = frozenset({"then", "else", "$recursiveAnchor", "$dynamicAnchor"})
# Annotations that the library treats as rules: next to references they cause cycles.
_NOTES: Final = frozenset(
    {"discriminator", "deprecated", "nullable", "example", "xml", "externalDocs", "contentSchema"}
)
_FORMATS: Final = frozenset(
    {"date-time", "time", "date", "duration", "email", "hostname", "ipv4", "ipv6", "uuid", "uri"}
)
_DRAFTS: Final = re.compile(
    r"https?://json-schema\.org/(draft/20(19-09|20-12)|draft-0[467])/schema#?"
)
# Look-around, back references and word boundaries, which grammars' regular expressions lack.
_TOO_MUCH: Final = re.compile(r"\(\?<?[=!]|\\[1-9bB]")


@dataclass(slots=True)
class Subset:
    """A schema that can be followed, and what was left out of it."""

    schema: Any = None
    unenforced: list[str] = field(default_factory=list)
    _renames: bool = False

    @classmethod
    def of(cls, schema: Schema, without: Collection[str] = ()) -> "Subset":
        """Return the subset. `without`: keywords to drop as well, wherever they may be at fault."""
        made = cls()
        disjoint = Disjoint(schema)

        def reduced(each: Schema, at: str) -> Schema:
            one_of = each.get("oneOf")
            if isinstance(one_of, list):
                made._renames = True
                if not disjoint.all(one_of):
                    made._leave_out("oneOf", at)
            gone = [name for name, value in each.items() if _to_go(name, value, each, without)]
            if "patternProperties" in gone and "additionalProperties" in each:
                # It is for names without a pattern, and which those are is unknown.
                gone.append("additionalProperties")
            for name in gone:
                if not _is_redundant(name, each[name], each):
                    made._leave_out(name, at)
            return {name: value for name, value in each.items() if name not in gone}

        made.schema = changed(schema, reduced)
        if made._renames:
            made.schema = changed(made.schema, _with_any_of)
        return made

    def _leave_out(self, name: str, at: str) -> None:
        self.unenforced.append(f"{name} at {at or '/'}")


def _with_any_of(schema: Schema, _: str) -> Schema:
    """Return the schema with `anyOf` instead of `oneOf`."""
    one_of, all_of = schema.get("oneOf"), schema.get("allOf", [])
    if not isinstance(one_of, list) or not isinstance(all_of, list):
        return schema  # the library reports what is wrong
    if "anyOf" not in schema:
        return {("anyOf" if name == "oneOf" else name): each for name, each in schema.items()}
    others = {name: each for name, each in schema.items() if name != "oneOf"}
    return {**others, "allOf": [*all_of, {"anyOf": one_of}]}


def _to_go(name: str, value: Any, schema: Schema, without: Collection[str]) -> bool:
    """Return whether this keyword must be left out."""
    match name:
        case "format":
            return not (isinstance(value, str) and value in _FORMATS)
        case "$schema":
            return not (isinstance(value, str) and _DRAFTS.fullmatch(value))
        case "pattern":
            return isinstance(value, str) and _is_too_much(value)
        case "patternProperties":
            return _patterns_to_go(value, several=name in without)
        case "minProperties" | "maxProperties":
            return name in without and not _all_required(schema)
    return name in _UNKNOWN or name in _SILENT or _is_note(name)


def _is_note(name: str) -> bool:
    return name in _NOTES or name.startswith("x-")


def _patterns_to_go(value: Any, *, several: bool) -> bool:
    if not isinstance(value, dict):
        return False
    return (several and len(value) > 1) or any(map(_is_too_much, value))


def _is_too_much(pattern: str) -> bool:
    return _TOO_MUCH.search(pattern.replace("\\\\", "")) is not None


def _all_required(schema: Schema) -> bool:
    properties, required = schema.get("properties") or {}, schema.get("required") or []
    return (
        isinstance(properties, dict)
        and isinstance(required, list)
        and (set(properties) <= {each for each in required if isinstance(each, str)})
    )


def _is_redundant(name: str, value: Any, schema: Schema) -> bool:
    """Return whether leaving out this keyword changes nothing about the values."""
    if name in _SILENT or name in {"format", "$schema"} or _is_note(name):
        return True
    others = _WITH_OTHERS.get(name)
    if others is not None and not any(other in schema for other in others):
        return True
    return any(type(value) is type(each) and value == each for each in _UNKNOWN.get(name, ()))
