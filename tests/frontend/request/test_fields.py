"""Fields of a body: types and bounds, and errors that say what to change."""

from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowcast.errors import InvalidField
from rowcast.frontend.request.fields import Fields

KNOWN = ("text", "top_k", "temperature", "max_tokens", "stream")
BOUNDED = settings(deadline=None, derandomize=True, max_examples=200)

NO_NUMBERS = [True, False, "abc", "", " ", [], {}, [1], {"a": 1}, "nan", "inf", "0x10", "1_0", "٣"]
NOT_FINITE = [float("nan"), float("inf"), float("-inf"), 10**400, -(10**400), 1e301]


def fields(name: str, value: Any, *, lenient: bool = True) -> Fields:
    return Fields({name: value}, KNOWN, lenient=lenient)


def integer(value: Any, *, lenient: bool = True) -> int:
    return fields("top_k", value, lenient=lenient).integer("top_k", 10, 1, 1000)


def number(value: Any, *, lenient: bool = True) -> float:
    return fields("temperature", value, lenient=lenient).number("temperature", 1.0, 0.01, 100)


def refused(call: Any, *arguments: Any, **named: Any) -> str:
    with pytest.raises(InvalidField) as refusal:
        call(*arguments, **named)
    return str(refusal.value)


@pytest.mark.parametrize(
    ("value", "read"),
    [(1, 1), (1000, 1000), (40.0, 40), ("40", 40), ("40.0", 40), ("4e1", 40), (" 40 ", 40)],
)
def test_a_whole_number_is_read(value: Any, read: int) -> None:
    assert integer(value) == read
    assert type(integer(value)) is int


@pytest.mark.parametrize("value", [0, 1001, -1, "0", "1001", 1.5, "1.5", *NO_NUMBERS, *NOT_FINITE])
def test_what_is_no_whole_number_within_bounds_is_refused_with_the_range(value: Any) -> None:
    message = refused(integer, value)
    assert message.startswith("top_k is ")
    assert message.endswith("; send a whole number from 1 to 1000")


@pytest.mark.parametrize(
    ("value", "read"), [(0.01, 0.01), (100, 100.0), ("0.5", 0.5), ("1", 1.0), ("1e-1", 0.1)]
)
def test_a_number_is_read(value: Any, read: float) -> None:
    assert number(value) == read
    assert type(number(value)) is float


@pytest.mark.parametrize("value", [0, 0.0099, 100.001, -1, "0", *NO_NUMBERS, *NOT_FINITE])
def test_what_is_no_number_within_bounds_is_refused_with_the_range(value: Any) -> None:
    message = refused(number, value)
    assert message.startswith("temperature is ")
    assert message.endswith("; send a number from 0.01 to 100")


def read_or_refusal(read: Callable[[Any], float], value: Any) -> float | str:
    try:
        return read(value)
    except InvalidField as refusal:
        return str(refusal)


@pytest.mark.slow
@given(
    st.recursive(
        st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
        lambda inner: st.lists(inner) | st.dictionaries(st.text(), inner),
    )
)
@BOUNDED
def test_any_json_value_is_read_within_bounds_or_refused_by_name(value: Any) -> None:
    for read, low, high in ((integer, 1, 1000), (number, 0.01, 100)):
        found = read_or_refusal(read, value)
        assert len(found) < 150 if isinstance(found, str) else low <= found <= high


def test_large_whole_numbers_keep_every_digit() -> None:
    seed = 2**63 - 1
    for value in (seed, str(seed)):
        assert fields("top_k", value).integer("top_k", 0, 0, seed) == seed
    assert refused(fields("top_k", seed + 1).integer, "top_k", 0, 0, seed)


@pytest.mark.parametrize("value", ["40", "4e1"])
def test_strictly_a_string_is_no_number(value: str) -> None:
    assert refused(integer, value, lenient=False)
    assert refused(number, value, lenient=False)


def test_strictly_a_string_is_no_flag() -> None:
    assert refused(fields("stream", "true", lenient=False).flag, "stream", True)


@pytest.mark.parametrize(
    ("value", "read"), [(True, True), (False, False), ("true", True), ("false", False)]
)
def test_a_flag_is_read(value: Any, read: bool) -> None:
    assert fields("stream", value).flag("stream", not read) is read


@pytest.mark.parametrize("value", [0, 1, "yes", "True", "", [], {}, 1.0])
def test_what_is_no_flag_is_refused(value: Any) -> None:
    message = refused(fields("stream", value).flag, "stream", True)
    assert message.endswith("; send true or false")


@pytest.mark.parametrize("value", [1, True, [], {}, ["a"], 1.5, float("nan")])
def test_what_is_no_string_is_refused(value: Any) -> None:
    message = refused(fields("text", value).text, "text")
    assert message.endswith("; expected a string")


@pytest.mark.parametrize("value", ["a", " ", "\x00", "😀", "\ufffd", "\u2028"])
def test_any_text_is_read_as_it_is(value: str) -> None:
    assert fields("text", value).required_text("text") == value


@pytest.mark.parametrize("value", ["\ud800", "a\udfffb"])
def test_half_of_a_surrogate_pair_is_no_text(value: str) -> None:
    assert "surrogate" in refused(fields("text", value).text, "text")


def test_a_required_text_must_be_there() -> None:
    assert refused(Fields({}, KNOWN).required_text, "text").startswith("text is missing")
    assert refused(fields("text", None).required_text, "text").startswith("text is missing")
    assert refused(fields("text", "").required_text, "text").startswith("text is empty")


def test_null_stands_for_a_field_that_was_not_sent() -> None:
    assert integer(None) == 10
    assert number(None) == 1.0
    assert fields("stream", None).flag("stream", True) is True
    assert fields("text", None).text("text") is None


@pytest.mark.parametrize(
    ("name", "meant"),
    [("max_token", "max_tokens"), ("Stream", "stream"), ("topk", "top_k"), ("prompt", "text")],
)
def test_a_typo_is_refused_with_what_was_probably_meant(name: str, meant: str) -> None:
    message = refused(Fields, {name: 1}, KNOWN, meant={"prompt": "text"})
    assert message == f"{name!r} is not a known field; did you mean {meant}?"


def test_a_name_like_no_other_is_refused_with_those_that_are_known() -> None:
    message = refused(Fields, {"zzz": 1}, KNOWN)
    assert message.endswith("the known fields are text, top_k, temperature, max_tokens, stream")


@pytest.mark.parametrize("name", ["x" * 10**6, "\ud800", "a\nb", "", "😀" * 999])
def test_the_strangest_name_makes_a_short_plain_error(name: str) -> None:
    message = refused(Fields, {name: 1}, KNOWN)
    assert len(message) < 200
    assert "\n" not in message
    message.encode()


@pytest.mark.parametrize("value", ["x" * 10**6, [0] * 10**5, {"a": "b" * 10**6}, "\ud800"])
def test_the_strangest_value_makes_a_short_plain_error(value: Any) -> None:
    message = refused(integer, value)
    assert len(message) < 200
    message.encode()
