"""JSON with line numbers: each value has the line at which it begins.

In: a text. Out: a `Node` for each value, with the fields of objects in their order, repeated ones
included. A text that is not JSON is a `Fault` with line and column. The standard parser decides
what is JSON; reading the lines then needs no error handling.
"""

import json
import re
from bisect import bisect_right
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NoReturn

from rowcast.models.file.faults import Fault

DEPTH = 16  # lists and objects around a value
COMMAS = 30_000  # in the whole text, so that reading never takes long
DIGITS = 4000  # the standard parser refuses slightly more

_TOKEN = re.compile(r'"[^"\\]*(?:\\.[^"\\]*)*"|[\[\]{}]|[^\s\[\]{},:"]+')


class NotJSON(ValueError):
    """The text is not JSON. `fault`: where, and what to change."""

    def __init__(self, line: int, problem: str) -> None:
        super().__init__(problem)
        self.fault = Fault(line, problem)


@dataclass(frozen=True, slots=True)
class Field:
    """A field of an object."""

    name: str
    line: int
    value: "Node"


@dataclass(frozen=True, slots=True)
class Node:
    """A value of the file. Objects have `fields`, lists have `items`, others a `value`."""

    line: int
    value: Any = None
    fields: tuple[Field, ...] | None = None
    items: "tuple[Node, ...] | None" = None

    @property
    def plain(self) -> Any:
        """The value as `json.loads` returns it."""
        if self.fields is not None:
            return {field.name: field.value.plain for field in self.fields}
        return [each.plain for each in self.items] if self.items is not None else self.value


def parse(text: str) -> Node:
    """Return the text's value. Raises NotJSON."""
    _check(text)
    return _Reader(text).node()


def _check(text: str) -> None:
    """Raise NotJSON if the text is not JSON, nests too deeply, or has too many values."""
    if text.count(",") > COMMAS:
        raise NotJSON(0, f"has more than {COMMAS} commas; shorten it")
    try:
        json.loads(text, parse_constant=_refuse_constant)
    except json.JSONDecodeError as error:
        place, advice = _advice(error.doc, error.pos, error.msg)
        line = text.count("\n", 0, place) + 1
        column = place - text.rfind("\n", 0, place)
        raise NotJSON(line, f"column {column}: {advice}") from error
    except RecursionError as error:
        raise NotJSON(0, f"nests deeper than {DEPTH} levels") from error
    except ValueError as error:  # it does not have the place
        raise next(_bad_numbers(text)) from error


def _refuse_constant(name: str) -> NoReturn:
    raise ValueError(name)


def _bad_numbers(text: str) -> Iterator[NotJSON]:
    """Yield the faults of numbers in a text that is otherwise JSON."""
    for number, line in _Reader(text).tokens:
        if number.lstrip("-") in {"NaN", "Infinity"}:
            yield NotJSON(line, f"{number} is not a number in JSON")
        elif len(number) > DIGITS and number[0] != '"':
            yield NotJSON(line, f"a number has more than {DIGITS} digits")


def _advice(text: str, place: int, message: str) -> tuple[int, str]:
    """Return where a text stops being JSON, and what to change there."""
    comma = place if text.startswith(",", place) else max(0, len(text[:place].rstrip()) - 1)
    rest = text[place:]
    if not text.strip():
        return place, 'the file is empty; write {"name": "path or hub id"}'
    if rest.startswith(("#", "//", "/*")):
        return place, "JSON has no comments; remove this one"
    if text.startswith(",", comma) and text[comma + 1 :].lstrip()[:1] in {"}", "]"}:
        return comma, "remove this comma, nothing follows it"
    return place, message[:1].lower() + message[1:]


class _Reader:
    """Reads the tokens of a text that is valid JSON. Commas and colons are not tokens."""

    def __init__(self, text: str) -> None:
        starts = [0, *(found.end() for found in re.finditer("\n", text))]
        self.tokens = (
            (each[0], bisect_right(starts, each.start())) for each in _TOKEN.finditer(text)
        )
        self._depth = 0

    def node(self) -> Node:
        return self._node(*next(self.tokens))

    def _node(self, text: str, line: int) -> Node:
        if text not in {"{", "["}:
            return Node(line, json.loads(text))
        self._depth += 1
        if self._depth > DEPTH:
            raise NotJSON(line, f"nests deeper than {DEPTH} levels")
        if text == "{":
            node = Node(line, fields=tuple(self._fields()))
        else:
            node = Node(line, items=tuple(self._node(*each) for each in self._until("]")))
        self._depth -= 1
        return node

    def _fields(self) -> Iterator[Field]:
        for token, line in self._until("}"):
            yield Field(json.loads(token), line, self.node())

    def _until(self, bracket: str) -> Iterator[tuple[str, int]]:
        while (each := next(self.tokens))[0] != bracket:
            yield each
