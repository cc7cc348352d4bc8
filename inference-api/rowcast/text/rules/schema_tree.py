"""JSON schemas as trees: which parts are schemas, and a copy in which each may be changed.

A schema's keywords hold schemas, lists of schemas, or maps from names to schemas; everything else
is data, and stays unchanged even if it looks like a schema. Unknown keywords may hold schemas that
references point to, so they count as schemas. Depth is bounded, so that no schema exhausts the
stack.
"""

from collections.abc import Callable, Iterator
from typing import Any

from rowcast.text.rules.grammar import GrammarFault

Schema = dict[str, Any]
Visit = Callable[[Schema, str], Schema]  # from a schema and its pointer to its replacement

LEVELS = 120  # of a JSON text; the grammar library reads 126
_MAPS = frozenset(
    {"properties", "patternProperties", "$defs", "definitions", "dependentSchemas", "dependencies"}
)
_DATA = frozenset({"const", "enum", "default", "example", "examples", "required", "type"})


def check_depth(value: object) -> None:
    """Raise GrammarFault if a JSON value is nested too deep."""
    level, depth = [value], 0
    while level:
        depth += 1
        if depth > LEVELS:
            raise GrammarFault(f"the schema nests more than {LEVELS} levels deep; use fewer")
        level = [each for holder in level for each in _children(holder)]


def _children(value: object) -> list[object]:
    if isinstance(value, dict):
        return list(value.values())
    return value if isinstance(value, list) else []


def escaped(name: str) -> str:
    """Escape a name as one part of a JSON pointer."""
    return name.replace("~", "~0").replace("/", "~1")


def schemas(value: object) -> Iterator[tuple[str, Schema]]:
    """Yield every schema in `value` with its pointer, outer ones first."""
    left: list[tuple[str, object]] = [("", value)]
    while left:
        at, each = left.pop()
        if isinstance(each, dict):
            yield at, each
            left += reversed(list(_parts(each, at)))
        elif isinstance(each, list):
            left += reversed([(f"{at}/{number}", inner) for number, inner in enumerate(each)])


def _parts(schema: Schema, at: str) -> Iterator[tuple[str, object]]:
    """Yield the values of a schema's keywords that may be schemas."""
    for name, value in schema.items():
        if name in _DATA or not isinstance(value, dict | list):
            continue
        place = f"{at}/{escaped(name)}"
        if name in _MAPS and isinstance(value, dict):
            yield from ((f"{place}/{escaped(key)}", inner) for key, inner in value.items())
        else:
            yield place, value


def changed(value: Any, visit: Visit, at: str = "") -> Any:
    """Return a copy in which `visit` has replaced every schema, outer ones first."""
    if isinstance(value, list):
        return [changed(each, visit, f"{at}/{number}") for number, each in enumerate(value)]
    if not isinstance(value, dict):
        return value
    return {
        name: _changed_part(name, each, visit, f"{at}/{escaped(name)}")
        for name, each in visit(value, at).items()
    }


def _changed_part(name: str, value: Any, visit: Visit, at: str) -> Any:
    if name in _MAPS and isinstance(value, dict):
        return {key: changed(each, visit, f"{at}/{escaped(key)}") for key, each in value.items()}
    return value if name in _DATA else changed(value, visit, at)


def at_pointer(root: Any, pointer: str) -> Any:
    """Return the target of a JSON pointer. Raises LookupError if there is none."""
    if pointer and not pointer.startswith("/"):
        raise LookupError(pointer)
    value = root
    for part in pointer.split("/")[1:]:
        name = part.replace("~1", "/").replace("~0", "~")
        if isinstance(value, list) and name.isdecimal():
            value = value[int(name)]
        elif isinstance(value, dict):
            value = value[name]
        else:
            raise LookupError(pointer)
    return value
