"""References in a JSON schema, resolved in place.

A schema that becomes a part of another one keeps its references: `inside(schema, at)` returns the
schema for the place `at`, in which every `$ref` is a pointer from the outer root. Nothing is
inlined, so recursive schemas stay small. Names (`$id`, `$anchor`) become pointers too, because two
schemas in one may use the same name.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote, urljoin

from rowcast.text.rules.grammar import GrammarFault
from rowcast.text.rules.schema_tree import Schema, at_pointer, changed, schemas

_SHOWN = 80
_SAFE = "/~!$&'()*+,;=:@"  # characters that a fragment may hold unescaped


@dataclass(frozen=True, slots=True)
class _Names:
    """The names of a schema's parts, and where these are."""

    resources: Mapping[str, str]  # an absolute address, and the pointer to its schema
    anchors: Mapping[tuple[str, str], str]  # an address and an anchor in it
    bases: Mapping[str, str]  # the pointer to a schema with an $id, and its address

    @classmethod
    def of(cls, schema: Schema) -> "_Names":
        resources, bases = {"": ""}, {"": ""}
        anchors: dict[tuple[str, str], str] = {}
        for at, each in schemas(schema):
            base = _base_of(bases, at)
            name = each.get("$id")
            if isinstance(name, str) and not name.startswith("#"):
                base = bases[at] = urljoin(base, name).rstrip("#")
                resources.setdefault(base, at)
            for anchor in (each.get("$anchor"), each.get("$dynamicAnchor"), name):
                if isinstance(anchor, str):
                    anchors.setdefault((base, anchor.removeprefix("#")), at)
        return cls(resources, anchors, bases)

    def pointer(self, ref: str, at: str) -> str | None:
        """Return the pointer to a reference's target; None if that is outside the schema."""
        base = _base_of(self.bases, at)
        address, _, fragment = (urljoin(base, ref) if ref[:1] != "#" else base + ref).partition("#")
        resource = self.resources.get(address)
        if resource is None:
            return None
        fragment = unquote(fragment)
        if not fragment or fragment.startswith("/"):
            return resource + fragment
        return self.anchors.get((address, fragment))


def _base_of(bases: Mapping[str, str], at: str) -> str:
    """Return the address of the innermost schema with an `$id` around a place."""
    while at not in bases:
        at = at.rpartition("/")[0]
    return bases[at]


class Pointers:
    """Resolves the references of one schema."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema
        self._names = _Names.of(schema)

    def target(self, ref: str, place: str) -> str:
        """Return the pointer to the target of a reference at `place`. Raises GrammarFault."""
        pointer = self._names.pointer(ref, place)
        reference = f"$ref at {place or '/'} is {ref[:_SHOWN]!r}"
        if pointer is None:
            raise GrammarFault(f"{reference}: only parts of the schema itself may be referenced")
        try:
            found: Any = at_pointer(self._schema, pointer)
        except LookupError as error:
            raise GrammarFault(f"{reference}, which is not in the schema") from error
        if not isinstance(found, dict | bool):
            raise GrammarFault(f"{reference}, which is not a schema")
        return pointer

    def found(self, ref: str) -> Any:
        """Return the target of a reference without a base of its own; None if there is none."""
        pointer = self._names.pointer(ref, "")
        try:
            return None if pointer is None else at_pointer(self._schema, pointer)
        except LookupError:
            return None


def inside(schema: Schema, at: str) -> Schema:
    """Return the schema for the place `at` of another schema. Raises GrammarFault."""
    if not any(isinstance(each.get("$ref"), str) for _, each in schemas(schema)):
        return schema
    pointers = Pointers(schema)

    def moved(each: Schema, place: str) -> Schema:
        rest = {name: value for name, value in each.items() if not _is_name(name, value)}
        if isinstance(rest.get("$ref"), str):
            rest["$ref"] = f"#{at}{quote(pointers.target(rest['$ref'], place), safe=_SAFE)}"
        return rest

    copy: Schema = changed(schema, moved)
    return copy


def check_references(schema: Schema) -> None:
    """Raise GrammarFault, which names the place, if a reference has no target."""
    pointers = Pointers(schema)
    for place, each in schemas(schema):
        if isinstance(each.get("$ref"), str):
            pointers.target(each["$ref"], place)


def _is_name(keyword: str, value: object) -> bool:
    return keyword in {"$id", "$anchor", "$dynamicAnchor"} and isinstance(value, str)
