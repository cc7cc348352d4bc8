"""JSON to a bounded depth: deeper values are refused with their depth, others parsed as usual."""

import pytest

from rowcast.text.bounded_json import DEPTH, TooDeep, loads


@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}"), ('{"a":[', "]}")])
def test_a_value_may_be_as_deep_as_is_allowed_and_no_deeper(opening: str, closing: str) -> None:
    levels = 2 if "[" in opening and "{" in opening else 1
    most = DEPTH // levels
    loads(opening * most + "1" + closing * most)
    with pytest.raises(TooDeep, match=f"{DEPTH + levels} levels; the limit is {DEPTH}"):
        loads(opening * (most + 1) + "1" + closing * (most + 1))


def test_depth_beyond_what_can_be_parsed_is_refused_in_the_same_words() -> None:
    with pytest.raises(TooDeep, match=f"nested too deeply; the limit is {DEPTH} levels"):
        loads("[" * 100_000)


def test_brackets_in_strings_and_in_rows_are_no_depth() -> None:
    assert loads('["' + "[" * 500 + '"]') == ["[" * 500]
    assert loads("[" + "[]," * 500 + "[]]") == [[]] * 501
