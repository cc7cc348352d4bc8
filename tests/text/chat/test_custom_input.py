"""The input of a custom tool, parsed from its arguments piece by piece."""

import json
from itertools import pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowcast.text.chat.custom_input import InputText


def read(pieces: list[str]) -> str:
    text = InputText()
    return "".join(map(text.feed, pieces)) + text.finish()


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    said=st.text(st.sampled_from('ab"\\\n\t/{}ö😀\x01\u2028'), max_size=20),
    ascii_only=st.booleans(),
    indent=st.sampled_from([None, 2]),
    cuts=st.lists(st.integers(0, 99)),
)
def test_the_text_comes_out_however_it_is_cut(
    said: str, ascii_only: bool, indent: int | None, cuts: list[int]
) -> None:
    arguments = json.dumps({"input": said}, ensure_ascii=ascii_only, indent=indent)
    places = sorted({0, len(arguments), *(cut % (len(arguments) + 1) for cut in cuts)})
    pieces = [arguments[at:to] for at, to in pairwise(places)]
    assert read(pieces) == said


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        ('{"code": "x"}', '{"code": "x"}'),
        ('{"input": 3}', '{"input": 3}'),
        ('{"inp', '{"inp'),
        ('{"input": "a\\', "a"),
        ('{"input": "a\\ud83d', "a"),
        ('{"input": "a\\ud83d\\n"}', "a?\n"),
        ('{"input": "a\\ud83db"}', "a?b"),
        ('{"input": "a\\uzzzzb"}', "a\\uzzzzb"),
        ('{"input": "a\\qb"}', "a\\qb"),
        ('{"input": "a", "more": "b"}', "a"),
    ],
)
def test_arguments_that_are_odd_or_cut(arguments: str, text: str) -> None:
    assert read([arguments]) == text
    assert read(list(arguments)) == text
