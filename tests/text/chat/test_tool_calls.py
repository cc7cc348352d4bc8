"""Tool calls in a text: the same calls however the text is cut; other text is unchanged.

Covers `json_value`.
"""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowcast.text.chat.forms import form_of
from rowcast.text.chat.forms.bare import BARE
from rowcast.text.chat.forms.form import Form
from rowcast.text.chat.forms.tagged import TAGGED
from rowcast.text.chat.parts import CallArguments, CallStart, TextPart
from rowcast.text.chat.tool_calls import ToolReader

Outcome = tuple[str, list[tuple[str, str]]]

TWO = (
    'Wait. <tool_call>\n{"name": "f", "arguments": {"a": "}\\"{ \\\\", "b": [1, {}]}}\n'
    "</tool_call>\n"
    '<tool_call>{"name":"g","arguments":{}}</tool_call>\n'
)
CASES: list[tuple[Form, str, Outcome]] = [
    (TAGGED, TWO, ("Wait. ", [("f", '{"a": "}\\"{ \\\\", "b": [1, {}]}'), ("g", "{}")])),
    (TAGGED, "<tool_call>no</tool_call> <tool_call", ("<tool_call>no</tool_call> <tool_call", [])),
    (TAGGED, '<tool_call>{"name": "f", "arguments": {"a": ', ("", [("f", '{"a": ')])),
    (TAGGED, '<tool_call>{"name": "f", "arguments": {}} oops', ("oops", [("f", "{}")])),
    (TAGGED, '<tool_call>{"name": "f", "arguments": {}}</tool_call> a b', ("a b", [("f", "{}")])),
    (TAGGED, "1 <2 and <tool", ("1 <2 and <tool", [])),
    (BARE, '{"name": "f", "parameters": {"a": 1}}', ("", [("f", '{"a": 1}')])),
    (BARE, '{"name": "f", "arguments": {}} and', (" and", [("f", "{}")])),
    (
        BARE,
        '{"name": "stranger", "parameters": {}}',
        ('{"name": "stranger", "parameters": {}}', []),
    ),
    (BARE, '{"x": 1}', ('{"x": 1}', [])),
    (BARE, "hello", ("hello", [])),
    (BARE, '{"na', ('{"na', [])),
]


def outcome(form: Form, pieces: list[str], *, several: bool = True) -> Outcome:
    reader = ToolReader(form, ("f", "g"), several=several)
    found = [each for piece in pieces for each in reader.feed(piece)] + reader.finish()
    text, calls = "", dict[int, tuple[str, str]]()
    for each in found:
        match each:
            case TextPart():
                text += each.text
            case CallStart():
                assert each.index not in calls
                calls[each.index] = (each.name, "")
            case CallArguments():
                name, arguments = calls[each.index]
                calls[each.index] = (name, arguments + each.text)
    return text, list(calls.values())


@pytest.mark.parametrize(("form", "text", "wanted"), CASES)
def test_calls_are_told_from_text(form: Form, text: str, wanted: Outcome) -> None:
    assert outcome(form, [text]) == wanted


@pytest.mark.slow
@settings(max_examples=200, deadline=None)
@given(st.data())
def test_where_the_text_is_cut_makes_no_difference(data: st.DataObject) -> None:
    form, text, wanted = data.draw(st.sampled_from(CASES))
    cuts = sorted(data.draw(st.sets(st.integers(0, len(text)))))
    pieces = [text[a:b] for a, b in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert outcome(form, pieces) == wanted


def test_arguments_leave_as_they_come() -> None:
    reader = ToolReader(TAGGED, ("f",))
    assert reader.feed('<tool_call>{"name": "f", "arguments": {"a') == [
        CallStart(0, "f"),
        CallArguments(0, '{"a'),
    ]
    assert reader.feed('": 1') == [CallArguments(0, '": 1')]


def test_only_the_first_call_where_one_is_wanted() -> None:
    assert outcome(TAGGED, [TWO], several=False)[1] == [("f", '{"a": "}\\"{ \\\\", "b": [1, {}]}')]


def test_the_template_tells_the_form() -> None:
    assert form_of("... <tool_call> ...") is TAGGED
    assert form_of('{"name": ..., "parameters": ...}') is BARE
