"""Parses foreign JSON, whole bodies and strings within them, to a bounded depth.

In: text, and the options of `json.loads`. Out: the value, or a ValueError; `TooDeep` is one that
names the depth. Deeper values would end in a RecursionError somewhere after the parser.
"""

import json
from collections.abc import Iterable
from typing import Any

DEPTH = 128
_CONTAINERS = (list, dict)


class TooDeep(ValueError):
    """The value nests deeper than `DEPTH`."""


def loads(text: str, **options: Any) -> Any:
    """Parse and return the value; `options` are those of `json.loads`."""
    try:
        value = json.loads(text, **options)
    except RecursionError as error:
        raise TooDeep(f"nested too deeply; the limit is {DEPTH} levels") from error
    if text.count("[") + text.count("{") > DEPTH:
        depth = _depth(value)
        if depth > DEPTH:
            raise TooDeep(f"nested too deeply: {depth} levels; the limit is {DEPTH}")
    return value


def _depth(value: object) -> int:
    """Return how many lists and objects enclose the innermost of them, itself included."""
    depth, level = 0, [value] if isinstance(value, _CONTAINERS) else []
    while level:
        depth += 1
        level = [each for outer in level for each in _inner(outer)]
    return depth


def _inner(outer: Any) -> Iterable[Any]:
    values = outer.values() if isinstance(outer, dict) else outer
    return [each for each in values if isinstance(each, _CONTAINERS)]
