"""The content of a body is bounded, and counted outside its strings."""

import pytest

from rowcast.errors import MalformedRequest
from rowcast.frontend.request.body import parse_object


@pytest.mark.parametrize(
    ("values", "excess"),
    [
        ("1," * 500_001 + "1", "values"),
        ("{}," * 50_000 + "1", "lists and objects"),
        ('{"a":1},' * 49_000 + "{" + ",".join(f'"{n}":1' for n in range(60_000)) + "}", "names"),
        ('"",' * 700_000 + "1", "values"),
        ("0.25," * 50_000 + "1", "fractions"),
        ("1e5," * 25_000 + "1E5," * 25_000 + "1", "fractions, exponents and booleans"),
    ],
)
def test_too_many_values_are_refused_with_what_is_allowed(values: str, excess: str) -> None:
    with pytest.raises(
        MalformedRequest, match=f"too many {excess}.*; the limits are 500000 values"
    ):
        parse_object(f'{{"a": [{values}]}}'.encode())


@pytest.mark.parametrize("part", [",", "[", "{", ":", ".", "e", '\\"[,', "\\\\", '\\\\\\":'])
def test_marks_in_a_text_are_not_counted(part: str) -> None:
    count = 600_000 // len(part)
    read = parse_object(f'{{"a": "{part * count}", "b": [1]}}'.encode())
    assert len(str(read["a"])) >= count
    assert read["b"] == [1]


def test_a_quote_without_an_end_is_found_in_linear_time() -> None:
    with pytest.raises(MalformedRequest, match="line 1, column 7"):
        parse_object(b'{"a": "' + b'\\",' * 700_000)


def test_runs_of_digits_in_a_text_are_text() -> None:
    digits = ("9" * 1000 + " ") * 4000
    assert parse_object(f'{{"a": "{digits}"}}'.encode()) == {"a": digits}
