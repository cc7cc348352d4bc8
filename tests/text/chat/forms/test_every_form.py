"""What holds for each form of calls: no cut changes what is read, and what is read is constrained.

Covers `chat/forms`, `forms/`, `chat/parts`.
"""

import json
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llguidance import LLMatcher, LLTokenizer

from rowcast.text.chat.forms import FORMS, form_of
from rowcast.text.chat.forms.form import Form
from rowcast.text.rules.tool_rule import Callee, rule_of_calls, rule_of_optional_calls
from sizes import often

from ...tokens.grammar_walk import follows
from .reading import NAMES, beginning, cut, read

_WORDS = [
    "{", "}", "[", "]", ",", ", ", " ", "\n", " " * 40, "é", "\u00a0", "Let me see.", "`", "1 < 2",
    '{"name": ', '"name"', ":", '"get"', '"get_all"', '"arguments": ', '"parameters": ',
    '{"name": "get", "arguments": ', '{"a": 1}', '{"b": "}]{"}', "get", "get_all", "put", "json",
]  # fmt: skip
_MARKS = {
    "tagged": ["<tool_call>", "</tool_call>", "<tool_"],
    "bare": ['{"name": "get", "parameters": '],
    "mistral": ["[TOOL_CALLS]", "[TOOL_CALLS] [", "[TOOL_"],
    "granite": ["<|tool_call|>", "<|tool_"],
    "phi": ["<|tool_call|>", "<|/tool_call|>", "<|/tool_call|"],
    "named": ["[TOOL_CALLS]", "[ARGS]", "[CALL_ID]", "[TOOL_CALLS]get[ARGS]", "[ARG"],
    "harmony": [
        "<|channel|>", "<|message|>", "<|start|>", "<|end|>", "<|call|>", "<|constrain|>",
        "<|start|>assistant", "analysis", "commentary", "final", "to=functions.", " to=python",
        "<|channel|>commentary to=functions.get <|constrain|>json<|message|>",
        " to=functions.get<|channel|>commentary json<|message|>", "<|channel|>analysis<|message|>",
        "<|channel|>final<|message|>", "<|end|><|start|>assistant", "<|mess", "<|st",
    ],
}  # fmt: skip
# By form: a call of a name with arguments, and several of them.
ONE = {
    "tagged": '<tool_call>\n{{"name": "{name}", "arguments": {arguments}}}\n</tool_call>',
    "bare": '{{"name": "{name}", "parameters": {arguments}}}',
    "mistral": '[TOOL_CALLS] [{{"name": "{name}", "arguments": {arguments}}}]',
    "granite": '<|tool_call|>[{{"name": "{name}", "arguments": {arguments}}}]',
    "phi": '<|tool_call|>[{{"name": "{name}", "arguments": {arguments}}}]<|/tool_call|>',
    "named": "[TOOL_CALLS]{name}[ARGS]{arguments}",
    "harmony": (
        "<|channel|>commentary to=functions.{name} <|constrain|>json<|message|>{arguments}<|call|>"
    ),
}
SCHEMA = {
    "type": "object",
    "properties": {"a": {"enum": [1, "}]{"]}},
    "required": ["a"],
    "additionalProperties": False,
}
CALLEES = [Callee("get", SCHEMA), Callee("get_all"), Callee("put", {"type": "object"})]
forms = pytest.mark.parametrize("form", FORMS.values(), ids=FORMS)


def texts(form: Form) -> st.SearchStrategy[str]:
    """Texts that resemble calls of a form, and calls."""
    calls = [
        ONE[form.name].format(name=name, arguments=arguments)
        for name in NAMES
        for arguments in ('{"a": "}]{"}', "{}", "[1]", '{"a": ')
    ]
    pieces = st.sampled_from([*_WORDS, *_MARKS[form.name], *_MARKS[form.name], *calls])
    return st.lists(pieces, max_size=12).map("".join)


def written(form: Form, name: str, arguments: Any) -> str:
    return ONE[form.name].format(name=name, arguments=json.dumps(arguments))


@forms
@given(st.data())
@settings(deadline=None, max_examples=often(150, 3000))
def test_no_cut_changes_what_is_read(form: Form, data: st.DataObject) -> None:
    text = data.draw(texts(form))
    pieces = cut(text, data.draw(st.lists(st.integers(0, 500), max_size=9)))
    several = data.draw(st.booleans())
    assert read(form, pieces, several=several) == read(form, [text], several=several)
    assert read(form, list(text), several=several) == read(form, [text], several=several)


@forms
@given(st.data())
@settings(deadline=None, max_examples=often(150, 3000))
def test_whatever_is_read_as_a_call_has_a_beginning_however_it_is_cut(
    form: Form, data: st.DataObject
) -> None:
    text = data.draw(texts(form))
    whole = beginning(form, [text.encode()])
    pieces = cut(text, data.draw(st.lists(st.integers(0, 500), max_size=9)))
    assert beginning(form, [piece.encode() for piece in pieces]) == whole
    assert beginning(form, [bytes([byte]) for byte in text.encode()]) == whole
    if read(form, [text])[2]:
        assert whole is not None


@forms
@given(st.data())
@settings(deadline=None, max_examples=often(60, 1000))
def test_nothing_is_lost_of_text_without_marks(form: Form, data: st.DataObject) -> None:
    words = st.sampled_from(["a", " ", "\n", "{", "}", "<", "[", "é", '"name"', "get"])
    text = data.draw(st.lists(words, max_size=12).map("".join))
    assert read(form, list(text)) == ("", text, [])


@forms
def test_a_call_is_read_and_follows_both_rules(form: Form) -> None:
    call = written(form, "get", {"a": "}]{"})
    assert read(form, [call])[2] == [("get", '{"a": "}]{"}')]
    begun = beginning(form, [call.encode()])
    assert begun is not None
    for several in (True, False):
        must = rule_of_calls(form, CALLEES, several=several).grammar
        may = rule_of_optional_calls(form, CALLEES, several=several).grammar
        compact = call.replace("<tool_call>\n", "<tool_call>").replace("\n</", "</")
        assert follows(must, compact)
        assert follows(may, begun.decode())


@forms
@pytest.mark.parametrize(
    ("name", "arguments"), [("wrong", {}), ("get", {"a": 2}), ("get", {}), ("get_all", {"a": 1})]
)
def test_what_a_schema_refuses_follows_no_rule(form: Form, name: str, arguments: Any) -> None:
    call = written(form, name, arguments)
    assert not follows(rule_of_calls(form, CALLEES, several=True).grammar, call)
    begun = beginning(form, [call.encode()])
    if begun is not None:
        assert not follows(
            rule_of_optional_calls(form, CALLEES, several=True).grammar, begun.decode()
        )


@forms
def test_arguments_are_an_object_where_a_call_is_optional(form: Form) -> None:
    rule = rule_of_optional_calls(form, [Callee("get", {"properties": {"a": {}}})], several=False)
    begun = beginning(form, [written(form, "get", {}).encode()])
    assert begun is not None
    before = begun[: begun.rindex(b"{}")]
    matcher = LLMatcher(LLTokenizer("byte"), rule.grammar)
    assert matcher.consume_tokens(list(before))
    assert matcher.validate_tokens(list(b"{"))
    assert not any(matcher.validate_tokens([byte]) for byte in b'"[1tn')


@forms
def test_each_tool_has_its_own_definitions(form: Form) -> None:
    def of_kind(kind: str) -> dict[str, Any]:
        return {
            "$defs": {"U": {"$id": "u", "$anchor": "v", "type": kind}},
            "type": "object",
            "properties": {"u": {"$ref": "u"}, "v": {"$ref": "u#v"}},
            "required": ["u", "v"],
            "additionalProperties": False,
        }

    callees = [Callee("get", of_kind("string")), Callee("get_all", of_kind("integer"))]
    rule = rule_of_calls(form, callees, several=False).grammar
    assert follows(rule, written(form, "get", {"u": "x", "v": "y"}).replace("\n", ""))
    assert follows(rule, written(form, "get_all", {"u": 1, "v": 2}).replace("\n", ""))
    assert not follows(rule, written(form, "get_all", {"u": 1, "v": "y"}).replace("\n", ""))


@forms
def test_many_tools_fit(form: Form) -> None:
    properties = {f"p{number}": {"type": "string"} for number in range(10)}
    callees = [Callee(f"f{n}", {"type": "object", "properties": properties}) for n in range(64)]
    assert rule_of_optional_calls(form, callees, several=True).unenforced == ()
    assert rule_of_calls(form, callees, several=True).unenforced == ()


@forms
def test_a_call_that_is_cut_is_unfinished(form: Form) -> None:
    call = written(form, "get", {"a": 1})
    place = call.index('{"a": 1}')
    for end in range(len(call)):
        _, text, calls = read(form, [call[:end]])
        assert (text + "".join(arguments for _, arguments in calls)) in call
        assert bool(calls) == (end > place)


@pytest.mark.parametrize(
    ("template", "name"),
    [
        ("{{ tools }} <tool_call>…</tool_call>", "tagged"),
        ('{{ tools }} {"name": …, "parameters": …}', "bare"),
        ("[AVAILABLE_TOOLS] {{ tools }} [TOOL_CALLS] [", "mistral"),
        ("[AVAILABLE_TOOLS] {{ tools }} [TOOL_CALLS]{{ name }}[ARGS]{{ arguments }}", "named"),
        ("{{ tools }} respond with <|tool_call|> followed by a JSON list", "granite"),
        ("{{ tools }} '<|tool_call|>' + call + '<|/tool_call|>'", "phi"),
        ("{{ tools }} <|start|>assistant<|channel|>final<|message|>", "harmony"),
        ("{{ tools }}", "bare"),
    ],
)
def test_the_template_shows_the_form(template: str, name: str) -> None:
    assert form_of(template).name == name


def test_the_last_form_is_for_templates_without_signs() -> None:
    *others, last = FORMS.values()
    assert last.signs == ()
    assert all(form.signs for form in others)
