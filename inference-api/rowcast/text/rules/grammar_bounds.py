"""Bounds of a grammar, checked before llguidance sees it: length, depth and blow-ups.

llguidance follows schemas, rules and references by recursion, explores every remainder of a
`multipleOf`, and joins the patterns of an `allOf` all at once. `excess(grammar)` describes the
first bound of `grammar_limits` that a grammar exceeds; "" if there is none. It covers JSON schemas,
including those inside Lark grammars, and Lark's rules; nothing here is recursive.
"""

import json
import math
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any
from urllib.parse import unquote

from rowcast import grammar_limits as limits

_SILENT = re.compile(
    r'//[^\n]*|#[^\n]*|"(?:\\.|[^"\\\n])*"|/(?:\\.|[^/\\\n])+/|(?P<json>%(?:json|regex|llguidance)\b)',
)
_HEAD = re.compile(r"^[ \t]*[?!]?([A-Za-z_]\w*)[^:\n|]*:", re.MULTILINE)
_NAME = re.compile(r"[A-Za-z_]\w*")


def excess(grammar: str) -> str:
    """Return which bound a grammar exceeds; "" for none."""
    if len(grammar) > limits.CHARACTERS:
        return f"it has {len(grammar):,} characters; at most {limits.CHARACTERS:,} are allowed"
    schemas: list[Any] = []
    larks: list[str] = []
    if not grammar.lstrip().startswith("{"):
        larks.append(grammar)
    else:
        try:
            schemas, larks = _parts(json.loads(grammar))
        except RecursionError:
            return f"it nests too deep; at most {limits.NESTED} brackets are allowed"
        except ValueError:
            return ""  # llguidance reports what is wrong with it
    found = (_lark_excess(lark, schemas) for lark in larks)
    return next(filter(None, found), "") or next(filter(None, map(_schema_excess, schemas)), "")


def _parts(top: Any) -> tuple[list[Any], list[str]]:
    """Return the schemas and the Lark grammars in llguidance's list of grammars."""
    grammars = top.get("grammars") if isinstance(top, dict) else None
    parts = [each for each in grammars or () if isinstance(each, dict)]
    schemas = [part["json_schema"] for part in parts if "json_schema" in part]
    larks = [part["lark_grammar"] for part in parts if isinstance(part.get("lark_grammar"), str)]
    return schemas, larks


# ------------------------------------------------------------------------------------------ Lark


def _lark_excess(lark: str, schemas: list[Any]) -> str:
    """Return which bound a Lark grammar exceeds; add the schemas in it to `schemas`."""
    try:
        text = _blanked(lark, schemas)
    except RecursionError:
        return f"it nests too deep; at most {limits.NESTED} brackets are allowed"
    if "::" in text:
        return "parametric rules (`::`) are not allowed: their number is unbounded"
    heads = list(_HEAD.finditer(text))
    ends = [*[head.start() for head in heads][1:], len(text)]
    rules: dict[str, list[str]] = {}
    for head, end in zip(heads, ends, strict=False):
        rules.setdefault(head[1], []).extend(_NAME.findall(text, head.end(), end))
    depth = _deepest({name: [(to, 1) for to in names] for name, names in rules.items()})
    if depth > limits.LEVELS:
        return f"its rules refer to each other {depth:,} deep; at most {limits.LEVELS:,} is allowed"
    return ""


def _blanked(lark: str, schemas: list[Any]) -> str:
    """Blank out strings, expressions, comments and schemas in a grammar; collect the schemas."""
    parts: list[str] = []
    at = 0
    while (found := _SILENT.search(lark, at)) is not None:
        parts.append(lark[at : found.start()])
        at = found.end()
        if found["json"]:
            begin = at + len(lark[at:]) - len(lark[at:].lstrip())
            try:
                schema, at = json.JSONDecoder().raw_decode(lark, begin)
            except ValueError:
                continue  # llguidance reports what is wrong with it
            schemas.append(schema)
        parts.append(" ")
    return "".join([*parts, lark[at:]])


# ---------------------------------------------------------------------------------------- schemas


@dataclass(frozen=True, slots=True)
class _Node:
    """A value inside a schema."""

    value: Any
    pointer: str
    depth: int


def _schema_excess(schema: Any) -> str:
    places = list(_nodes(schema))
    deepest = max(place.depth for place in places)
    if deepest > limits.NESTED:
        return f"it nests {deepest:,} brackets deep; at most {limits.NESTED} are allowed"
    objects = [place for place in places if isinstance(place.value, dict)]
    return (
        _divisor_excess([place.value.get("multipleOf") for place in objects])
        or _reference_excess(objects)
        or _merging_excess(schema, [place.value for place in objects if "allOf" in place.value])
    )


def _nodes(schema: Any) -> Iterator[_Node]:
    """Yield every value of a schema."""
    todo = [_Node(schema, "", 0)]
    while todo:
        place = todo.pop()
        yield place
        if isinstance(place.value, dict):
            for key, value in place.value.items():
                name = str(key).replace("~", "~0").replace("/", "~1")
                todo.append(_Node(value, f"{place.pointer}/{name}", place.depth + 1))
        elif isinstance(place.value, list):
            for at, value in enumerate(place.value):
                todo.append(_Node(value, f"{place.pointer}/{at}", place.depth + 1))


def _divisor_excess(found: Sequence[Any]) -> str:
    """Check the divisors: all remainders are explored; in joined schemas, of a common multiple."""
    divisors = [abs(Fraction(str(each))) for each in found if _is_number(each) and each]
    if any((each * 10**limits.DECIMALS).denominator != 1 for each in divisors):
        return f"a multipleOf has more than {limits.DECIMALS} decimals"
    places = max(map(_decimals, divisors), default=0)
    multiple = 1
    for each in divisors:
        multiple = math.lcm(multiple, int(each * 10**places))
        if multiple > limits.DIVISOR:
            return (
                f"multipleOf needs {multiple:,} remainders; at most {limits.DIVISOR:,} are allowed"
            )
    return ""


def _decimals(value: Fraction) -> int:
    return next(n for n in range(limits.DECIMALS + 1) if (value * 10**n).denominator == 1)


def _merging_excess(root: Any, merging: Sequence[Mapping[str, Any]]) -> str:
    most = max((_joined(root, schema) for schema in merging), default=0)
    if most <= limits.MERGED:
        return ""
    return f"an allOf joins {most} patterns; at most {limits.MERGED} are allowed"


def _joined(root: Any, schema: Mapping[str, Any]) -> int:
    """Return how many patterns an `allOf` joins, including those of referenced schemas."""
    count, todo, seen = 0, [schema], {id(schema)}
    while todo:
        part = todo.pop()
        count += "pattern" in part
        merged = part.get("allOf")
        for other in [*(merged if isinstance(merged, list) else ()), _target(root, part)]:
            if isinstance(other, dict) and id(other) not in seen:
                seen.add(id(other))
                todo.append(other)
    return count


def _target(root: Any, schema: Mapping[str, Any]) -> Any:
    """Return the target of a schema's reference within the same document."""
    reference = schema.get("$ref")
    if not isinstance(reference, str) or not reference.startswith("#"):
        return None
    value = root
    for name in unquote(reference[1:]).split("/")[1:]:
        key = name.replace("~1", "/").replace("~0", "~")
        if isinstance(value, dict):
            value = value.get(key)
        elif isinstance(value, list) and key.isdecimal() and int(key) < len(value):
            value = value[int(key)]
        else:
            return None
    return value


def _reference_excess(objects: Sequence[_Node]) -> str:
    """Check the nesting of schemas when references are followed, each target once."""
    references = [(place.pointer, place.value.get("$ref")) for place in objects]
    found = [(pointer, ref) for pointer, ref in references if isinstance(ref, str)]
    others = sum(ref != "#" and not ref.startswith("#/") for _, ref in found)
    if others > limits.POINTERLESS:
        allowed = f'at most {limits.POINTERLESS} may not begin with "#/"'
        return f"it has {others:,} references of other forms; {allowed}"
    depth = _deepest(_graph([(pointer, unquote(ref[1:])) for pointer, ref in found]), first="")
    if depth > limits.LEVELS:
        return (
            f"it nests {depth:,} deep through its references; at most {limits.LEVELS:,} is allowed"
        )
    return ""


def _graph(references: Sequence[tuple[str, str]]) -> dict[str, list[tuple[str, int]]]:
    """Return, for each target, the targets that it refers to and the levels in between."""
    targets = {to for _, to in references} | {""}
    graph: dict[str, list[tuple[str, int]]] = {}
    for pointer, to in references:
        parts = pointer.split("/")
        for count in range(len(parts)):
            origin = "/".join(parts[: count + 1])
            if origin in targets:
                graph.setdefault(origin, []).append((to, len(parts) - count))
    return graph


def _deepest(graph: Mapping[str, Sequence[tuple[str, int]]], first: str | None = None) -> int:
    """Return the depth of a walk that enters each node once, in the order of writing."""
    deepest = 0
    seen: set[str] = set()
    for start in [first] if first is not None else list(graph):
        stack = [(iter(graph.get(start, ())), 0)] if start not in seen else []
        seen.add(start)
        while stack:
            edges, depth = stack[-1]
            to, length = next(edges, ("", -1))
            if length < 0:
                stack.pop()
            elif to not in seen:
                seen.add(to)
                deepest = max(deepest, depth + length)
                stack.append((iter(graph.get(to, ())), depth + length))
    return deepest


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value)
