"""Where calls begin: the same places that the reader of calls finds, however a text is cut."""

import json
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowcast.text.chat.call_beginning import (
    Beginning,
    Finder,
    State,
    Thought,
    beginning_of,
    with_beginning,
)
from rowcast.text.chat.forms.bare import BARE
from rowcast.text.chat.forms.form import Form
from rowcast.text.chat.forms.tagged import TAGGED
from rowcast.text.chat.parts import CallStart
from rowcast.text.chat.reasoning import KNOWN, Start, Thinking
from rowcast.text.chat.reply_reader import ReplyReader
from rowcast.text.chat.tool_calls import ToolReader

NAMES = ("get", "get_all")
PIECES = [
    "<tool_call>", "<tool_", "call>", "</tool_call>", "{", '{"name": ', '"name"', ":", '"get"',
    '{"name":"get",', '"get_all"', ', "', 'parameters"', 'arguments"', ": ", '{"a": 1}', "}", " ",
    "\n", "\u00a0", " " * 40, "é", "Let me see.", "`", "<think>", "</think>", "<thi",
]  # fmt: skip
TEXTS = st.lists(st.sampled_from(PIECES), max_size=14).map("".join)
THOUGHTS = [None, *(Thinking(KNOWN[0], start) for start in Start)]
TAGGED_HEAD, BARE_HEAD = "<tool_call>{", '{"name":"get","parameters":{'


def finder(form: Form, thinking: Thinking | None = None) -> Finder:
    names = () if form.opening else NAMES
    return Finder(Beginning(form.name, names, thought=thinking.thought if thinking else None))


def first(form: Form, pieces: Sequence[bytes], thinking: Thinking | None = None) -> bytes | None:
    """Return all that follows the first beginning, from the spelling of the beginning on."""
    finds = finder(form, thinking)
    state = finds.start
    for at, piece in enumerate(pieces):
        state, call = finds.find(state, piece)
        if call:
            return call + b"".join(pieces[at + 1 :])
    return None


def is_read(form: Form, text: str, thinking: Thinking | None) -> bool:
    reader = ReplyReader(thinking, ToolReader(form, NAMES))
    return any(isinstance(part, CallStart) for part in [*reader.feed(text, 0), *reader.finish()])


@given(TEXTS, st.sampled_from([TAGGED, BARE]), st.sampled_from(THOUGHTS))
@settings(deadline=None, max_examples=300)
def test_whatever_is_read_as_a_call_has_a_beginning(
    text: str, form: Form, thinking: Thinking | None
) -> None:
    begins = first(form, [text.encode()], thinking)
    if is_read(form, text, thinking):
        assert begins is not None
    elif form is BARE:
        assert begins is None


@given(TEXTS, st.sampled_from([TAGGED, BARE]), st.sampled_from(THOUGHTS), st.data())
@settings(deadline=None, max_examples=300)
def test_the_place_does_not_depend_on_how_the_text_is_cut(
    text: str, form: Form, thinking: Thinking | None, data: st.DataObject
) -> None:
    whole = text.encode()
    cuts = sorted(data.draw(st.lists(st.integers(0, len(whole)), max_size=6)))
    pieces = [whole[a:b] for a, b in zip([0, *cuts], [*cuts, len(whole)], strict=True)]
    assert first(form, pieces, thinking) == first(form, [whole], thinking)


@pytest.mark.parametrize(
    ("form", "text", "rest"),
    [
        (TAGGED, '<tool_call>\n {"name"', b'{"name"'),
        (TAGGED, '<tool_call><tool_call>{"', b'{"'),
        (TAGGED, "<tool_call> f {", None),
        (TAGGED, f"<tool_call>{' ' * 64}{{", b"{"),
        (TAGGED, f"<tool_call>{' ' * 65}{{", None),
        (BARE, ' {"name" : "get_all", "arguments": {"a', b'{"name":"get_all","parameters":{"a'),
        (BARE, '{"name": "put", "parameters": {', None),
        (BARE, 'So {"name": "get", "parameters": {', None),
    ],
)
def test_a_beginning_is_spelt_as_the_grammar_spells_it(
    form: Form, text: str, rest: bytes | None
) -> None:
    assert first(form, [text.encode()]) == rest


def test_reasoning_has_no_calls_but_the_text_after_it_has() -> None:
    thinking = Thinking(KNOWN[0], Start.MAYBE)
    text = f"\n<think>{TAGGED_HEAD}</think>\n".encode()
    assert first(TAGGED, [text], thinking) is None
    assert first(TAGGED, [text, TAGGED_HEAD.encode()], thinking) == b"{"
    assert first(BARE, [b"</think> ", BARE_HEAD.encode()], Thinking(KNOWN[0], Start.INSIDE))


def test_there_are_few_states_in_text_with_an_opening_mark() -> None:
    finds = finder(TAGGED)
    states, state = set[State](), finds.start
    for _ in range(50):
        for piece in (b"<tool_call>", b" ", b"\n", b"\t", "é".encode(), b"<tool_"):
            state, _ = finds.find(state, piece)
            states.add(state)
    assert len(states) < 10


def test_it_is_sent_inside_a_grammar() -> None:
    beginning = Beginning("bare", NAMES, thought=Thought("<a>", "</a>"), shown=((7, "<a>"),))
    assert beginning_of(with_beginning([{"lark_grammar": 'start: "a"'}], beginning)) == beginning
    assert beginning_of('start: "a"') is None
    assert beginning_of(json.dumps({"grammars": []})) is None


@pytest.mark.parametrize("text", ['{"calls": 1}', '{"calls": {"form": "no"}}', '{"calls"'])
def test_a_malformed_one_is_a_fault(text: str) -> None:
    with pytest.raises(ValueError, match=r".+"):
        beginning_of(text)
