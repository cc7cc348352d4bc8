"""Whether two JSON schemas have no value in common, as far as that is easy to see.

`oneOf` of such schemas means the same as `anyOf`, which a grammar can follow. The grammar library
notices this too, but does not follow references, of which tagged unions consist. "No" means "not
seen": only types, constants, and required properties of objects are compared.
"""

import json
from collections.abc import Iterable, Sequence
from itertools import combinations, product
from typing import Any

from rowcast.text.rules.schema_refs import Pointers
from rowcast.text.rules.schema_tree import Schema

_FUEL = 50_000  # constants, names and comparisons, for one whole schema
_DEPTH = 12
_KINDS = ("null", "boolean", "number", "string", "array", "object")
_UNIONS = ("anyOf", "oneOf")
_LISTS = ("enum", "required", "type")


class Disjoint:
    """Compares parts of one schema."""

    def __init__(self, root: Schema) -> None:
        self._root = root
        self._pointers: Pointers | None = None
        self._fuel = _FUEL

    def all(self, options: Sequence[Any]) -> bool:
        """Return whether no value fits two of these schemas."""
        self._pointers = self._pointers or Pointers(self._root)
        return all(self.two(first, second) for first, second in combinations(options, 2))

    def two(self, first: Any, second: Any, depth: int = _DEPTH) -> bool:
        """Return whether no value fits both schemas."""
        if first is False or second is False:
            return True
        parts = self._parts(first), self._parts(second)
        self._fuel -= len(parts[0]) * len(parts[1])
        if self._fuel < 0 or depth < 0:
            return False
        return any(self._parts_disjoint(*each, depth) for each in product(*parts))

    def _parts(self, schema: Any) -> list[Schema]:
        """Return a schema and those that it refers to: all of them must hold."""
        parts: list[Schema] = []
        while isinstance(schema, dict) and len(parts) < _DEPTH:
            parts.append(schema)
            self._fuel -= sum(len(_listed(schema, name)) for name in _LISTS)
            ref = schema.get("$ref")
            schema = self._pointers.found(ref) if self._pointers and isinstance(ref, str) else None
        return parts

    def _parts_disjoint(self, first: Schema, second: Schema, depth: int) -> bool:
        if self._options_disjoint(first, second, depth) or self._options_disjoint(
            second, first, depth
        ):
            return True
        if not _kinds(first) & _kinds(second):
            return True
        constants = _constants(first), _constants(second)
        if None not in constants:
            return not set(constants[0] or ()) & set(constants[1] or ())
        only_objects = _kinds(first) & _kinds(second) == {"object"}
        return only_objects and self._properties_disjoint(first, second, depth)

    def _options_disjoint(self, union: Schema, other: Schema, depth: int) -> bool:
        """Return whether `union` is one, and none of its parts shares a value with `other`."""
        found = (options for name in _UNIONS if (options := union.get(name)))
        return any(
            isinstance(options, list) and all(self.two(each, other, depth - 1) for each in options)
            for options in found
        )

    def _properties_disjoint(self, first: Schema, second: Schema, depth: int) -> bool:
        """Return whether a property that one of them requires cannot suit both."""
        return any(
            self.two(_property(first, name), _property(second, name), depth - 1)
            for name in dict.fromkeys([*_required(first), *_required(second)])
        )


def _property(schema: Schema, name: str) -> Any:
    properties = schema.get("properties")
    if isinstance(properties, dict) and name in properties:
        return properties[name]
    closed = schema.get("additionalProperties") is False and not schema.get("patternProperties")
    return not closed


def _listed(schema: Schema, name: str) -> list[Any]:
    """Return the list that a keyword holds; empty if it holds something else."""
    value = schema.get(name)
    return value if isinstance(value, list) else []


def _required(schema: Schema) -> list[str]:
    return [name for name in _listed(schema, "required") if isinstance(name, str)]


def _kinds(schema: Schema) -> frozenset[str]:
    """Return the types that a value of the schema can have."""
    constants = _constants(schema)
    if constants is not None:
        return frozenset(kind for kind, _ in constants)
    named = schema.get("type")
    names: Iterable[Any] = [named] if isinstance(named, str) else _listed(schema, "type") or _KINDS
    return frozenset("number" if name == "integer" else str(name) for name in names)


def _constants(schema: Schema) -> list[tuple[str, str]] | None:
    """Return the only values of a schema, as types and texts; None if it does not list them."""
    if "const" in schema:
        return [_named(schema["const"])]
    listed = schema.get("enum")
    return [_named(each) for each in listed] if isinstance(listed, list) else None


def _named(value: Any) -> tuple[str, str]:
    kinds = {bool: "boolean", int: "number", float: "number", str: "string", list: "array"}
    kind = "object" if isinstance(value, dict) else kinds.get(type(value), "null")
    text = repr(float(value)) if kind == "number" else json.dumps(value, sort_keys=True)
    return kind, text
