"""JSON with lines: the values of the standard parser, and where each begins."""

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import settings as bounded
from hypothesis import strategies as st

from rowcast.models.file.faults import Fault
from rowcast.models.file.located_json import COMMAS, DEPTH, NotJSON, parse

SCALARS = st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text()
VALUES = st.recursive(
    SCALARS.filter(lambda value: value not in (float("inf"), float("-inf"))),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


def fault(text: str) -> Fault:
    with pytest.raises(NotJSON) as raised:
        parse(text)
    return raised.value.fault


@given(VALUES, st.sampled_from([None, 0, 3]), st.booleans())
@bounded(deadline=None, max_examples=200)
def test_any_value_is_what_the_standard_parser_returns(
    value: Any, indent: int | None, in_ascii: bool
) -> None:
    text = json.dumps(value, indent=indent, ensure_ascii=in_ascii)
    assert parse(text).plain == json.loads(text)


@given(st.text('{}[]",:\\ntrue1e-+. \n', max_size=30))
@bounded(deadline=None, max_examples=300)
def test_any_text_is_a_value_or_a_fault(text: str) -> None:
    try:
        expected = json.loads(text)
    except ValueError:
        fault(text)
    else:
        assert parse(text).plain == expected


def test_each_value_and_field_has_its_line() -> None:
    root = parse('\n{"a": [1,\n 2],\n "b":\n {"c": "x\\ny"}}')
    assert root.fields is not None
    a, b = root.fields
    assert (root.line, a.line, a.value.line, b.line, b.value.line) == (2, 2, 2, 4, 5)
    assert [each.line for each in a.value.items or ()] == [2, 3]


def test_repeated_fields_are_all_returned() -> None:
    fields = parse('{"a": 1, "a": 2}').fields or ()
    assert [(each.name, each.value.value) for each in fields] == [("a", 1), ("a", 2)]


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("", 1, 'column 1: the file is empty; write {"name": "path or hub id"}'),
        ('{\n"a": 1,\n}', 2, "column 7: remove this comma, nothing follows it"),
        ('{"a": [1,]}', 1, "column 9: remove this comma, nothing follows it"),
        ('{\n// note\n"a": 1}', 2, "column 1: JSON has no comments; remove this one"),
        ('{"a": 1 # note\n}', 1, "column 9: JSON has no comments; remove this one"),
        ('{"a"\n1}', 2, "column 1: expecting ':' delimiter"),
        ('{"a": 1', 1, "column 8: expecting ',' delimiter"),
        ("{'a': 1}", 1, "column 2: expecting property name enclosed in double quotes"),
        ('{"a": 1} x', 1, "column 10: extra data"),
        ('{"NaN":\nNaN}', 2, "NaN is not a number in JSON"),
        ("[\n-Infinity]", 2, "-Infinity is not a number in JSON"),
        ("[\n" + "9" * 5000 + "]", 2, "a number has more than 4000 digits"),
    ],
)
def test_a_text_that_is_not_json_is_a_fault_with_place_and_reason(
    text: str, line: int, problem: str
) -> None:
    assert fault(text) == Fault(line, problem)


@pytest.mark.parametrize("depth", [DEPTH + 1, 5_000, 200_000])
@pytest.mark.parametrize("brackets", ["[]", "{}"])
def test_deep_nesting_is_a_fault(depth: int, brackets: str) -> None:
    inner = '{"a":' * depth + "1" + "}" * depth
    text = inner if brackets == "{}" else "[" * depth + "]" * depth
    assert "nests deeper" in fault(text).problem


def test_the_deepest_allowed_is_read() -> None:
    assert parse("[" * DEPTH + "]" * DEPTH).line == 1


def test_the_number_of_values_is_bounded() -> None:
    assert fault(f"[{'1,' * (COMMAS + 1)}1]") == Fault(
        0, f"has more than {COMMAS} commas; shorten it"
    )
    assert len(parse(f"[{'1,' * COMMAS}1]").items or ()) == COMMAS + 1
