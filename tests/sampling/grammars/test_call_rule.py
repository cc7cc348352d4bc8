"""Rows whose calls follow a grammar: masks, free text, and replies that are fed again.

Covers `grammars/beginnings`, `grammars/token_bytes`.
"""

import json
from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llguidance import LLTokenizer

from rowcast.sampling.grammars.grammars import Grammars, token_texts_of
from rowcast.text.chat.call_beginning import Beginning, with_beginning
from rowcast.text.chat.forms.bare import BARE
from rowcast.text.chat.forms.form import Form
from rowcast.text.chat.forms.tagged import TAGGED
from rowcast.text.chat.parts import CallArguments, CallStart
from rowcast.text.chat.tool_calls import ToolReader
from rowcast.text.rules.tool_rule import Callee, rule_of_optional_calls
from sizes import often

from .test_grammars import masked, seat

END = 256
LONGER = [
    b"<tool_call>", b'<tool_call>{"', b"<tool_call>{'", b"<tool", b"_call>", b">{", b'>\n{"',
    b">{{", b'{"', b"{'", b" {", b'"name":', b'{"name": "get", "arguments": {',
    b'"parameters": {"', b'":{}',
    b"</tool_call>", b"</tool_call>\n", b'"}}', b" the", b'": {"x', b'"b"', b"get", b"_all",
]  # fmt: skip
TEXTS = [*(bytes([byte]) for byte in range(256)), b"", *LONGER]
SIZE = len(TEXTS) + 3  # some ids have no text
CALLEES = [
    Callee("get", {"type": "object", "properties": {"a": {"enum": [1, "{}"]}}, "required": ["a"],
                   "additionalProperties": False}),
    Callee("get_all", {"type": "object", "properties": {"b": {"type": "boolean"}},
                       "required": ["b"], "additionalProperties": False}),
    Callee("now"),
]  # fmt: skip
WANTED = {"get": ({"a": 1}, {"a": "{}"}), "get_all": ({"b": True}, {"b": False}), "now": ({},)}
RULES = {
    form: rule_of_optional_calls(form, CALLEES, several=True).grammar for form in (TAGGED, BARE)
}
ONE = rule_of_optional_calls(TAGGED, CALLEES, several=False).grammar
OPENINGS = {TAGGED: '<tool_call>{"name": "', BARE: '{"name": "get_all", "parameters": {'}


def token_texts() -> LLTokenizer:
    return token_texts_of(TEXTS, END, SIZE)


def seated(rule: str, fed: Sequence[int] = ()) -> Grammars:
    grammars = Grammars(4, SIZE, token_texts)
    seat(grammars, rule, row=0)
    grammars.observe(0, fed)
    return grammars


def may(grammars: Grammars) -> set[int]:
    """Return the tokens that the row may draw."""
    settle(grammars)
    mask = b"\xff" * SIZE if grammars.free(0) else grammars.allowed(0)
    return {token for token in range(SIZE) if mask[token // 8] >> token % 8 & 1}


def settle(grammars: Grammars) -> None:
    """Make the row's mask, unless it needs none."""
    grammars.prepare([0])
    while not grammars.free(0) and not grammars.finish():
        while not grammars.ready(0):
            pass
        grammars.prepare([0])


def draw(grammars: Grammars, token: int) -> None:
    if not grammars.take(0, token):
        while not grammars.ready(0):
            pass
        assert grammars.take(0, token)
    grammars.observe(0, [token])


def tokens_of(text: str) -> list[int]:
    return list(text.encode())


def text_of(tokens: Sequence[int]) -> str:
    return b"".join(TEXTS[token] for token in tokens if token < len(TEXTS)).decode(errors="replace")


def calls_in(form: Form, text: str) -> tuple[list[tuple[str, str]], bool]:
    """Return the calls in a reply, and whether the last one is unfinished."""
    reader = ToolReader(form, {callee.name for callee in CALLEES})
    found: list[tuple[str, str]] = []
    for part in [*reader.feed(text)]:
        if isinstance(part, CallStart):
            found.append((part.name, ""))
        elif isinstance(part, CallArguments):
            found[-1] = found[-1][0], found[-1][1] + part.text
    return found, reader.unfinished


@pytest.mark.slow
@given(
    st.sampled_from([TAGGED, BARE]),
    st.lists(st.tuples(st.booleans(), st.integers(0, 10**6)), max_size=60),
)
@settings(deadline=None, derandomize=True, max_examples=120)
def test_each_path_of_allowed_tokens_has_valid_calls(
    form: Form, choices: list[tuple[bool, int]]
) -> None:
    grammars, reply = seated(RULES[form]), list[int]()
    wanted = tokens_of(OPENINGS[form])
    for follows, choice in choices:
        allowed = sorted(may(grammars) - {END})
        if follows and wanted and wanted[0] in allowed:
            token = wanted.pop(0)
        else:
            token = allowed[choice % len(allowed)]
        reply.append(token)
        draw(grammars, token)
        if grammars.ended(0):
            break
    calls, unfinished = calls_in(form, text_of(reply))
    for name, arguments in calls[: len(calls) - unfinished]:
        assert json.loads(arguments) in WANTED[name]


@pytest.mark.slow
@given(
    st.sampled_from([TAGGED, BARE]),
    st.lists(st.integers(0, 10**6), min_size=1, max_size=30),
    st.integers(0, 40),
)
@settings(deadline=None, derandomize=True, max_examples=often(30, 200))
def test_a_reply_that_is_fed_again_goes_on_as_before(
    form: Form, choices: list[int], begun: int
) -> None:
    drawn, reply = seated(RULES[form]), tokens_of(OPENINGS[form])[:begun]
    for token in reply:
        assert token in may(drawn)
        draw(drawn, token)
    for choice in choices:
        allowed = sorted(may(drawn))
        assert may(seated(RULES[form], reply)) == set(allowed)
        if drawn.ended(0):
            return
        reply.append(allowed[choice % len(allowed)])
        draw(drawn, reply[-1])


def test_free_text_needs_no_mask_and_no_grammar() -> None:
    plain = TEXTS[: END + 1]  # no token goes on after a brace
    grammars = Grammars(4, len(plain), lambda: token_texts_of(plain, END, len(plain)))
    seat(grammars, RULES[TAGGED], row=0)
    settle(grammars)
    for token in tokens_of("Free text, {braces}, `<tool_call>` and <tool_call"):
        assert grammars.free(0)
        assert grammars.ready(0)
        draw(grammars, token)
        settle(grammars)
    assert grammars.free(0)


def test_only_a_refused_beginning_is_masked_in_text() -> None:
    assert _refused("") == {b"<tool_call>{'"}
    assert _refused("<tool_call") == {b">{{", b"<tool_call>{'"}
    assert _refused("<tool_call>\n ") == {b"{'", b"<tool_call>{'"}


def _refused(text: str) -> set[bytes]:
    allowed = may(seated(RULES[TAGGED], tokens_of(text)))
    return {TEXTS[token] for token in set(range(len(TEXTS))) - allowed}


def test_a_token_may_begin_a_call_and_go_on() -> None:
    token = END + 1 + LONGER.index(b'<tool_call>{"')
    grammars = seated(RULES[TAGGED])
    assert token in may(grammars)
    draw(grammars, token)
    assert ord("n") in may(grammars)
    assert ord("x") not in may(grammars)
    assert END not in may(grammars)


def test_after_a_call_another_one_may_begin_or_the_reply_ends() -> None:
    call = '<tool_call>{"name": "now", "arguments": {}}\n</tool_call>'
    several, one = seated(RULES[TAGGED], tokens_of(call)), seated(ONE)
    assert END in may(several)
    assert not several.ended(0)
    for token in tokens_of(call):
        assert token in may(one)
        draw(one, token)
    assert one.ended(0)


def test_end_of_text_is_free_in_text_but_not_in_a_call() -> None:
    assert END in may(seated(RULES[TAGGED], tokens_of("So <tool_call>")))
    assert END not in may(seated(RULES[TAGGED], tokens_of("So <tool_call>{")))


def test_special_tokens_are_not_part_of_the_text() -> None:
    cut = [*tokens_of("<tool_"), END, *tokens_of("call>{")]
    assert ord("x") not in may(seated(RULES[TAGGED], cut))


def test_a_malformed_beginning_is_a_problem_of_its_reply_alone() -> None:
    grammars = seated('{"calls": {"form": "no"}, "grammars": []}')
    masked(grammars, [0])
    assert "no" in grammars.problem(0)


def test_a_grammar_that_fails_in_a_call_is_a_problem_from_there_on() -> None:
    rule = with_beginning([{"lark_grammar": "start: ("}], Beginning("tagged"))
    grammars = seated(rule, tokens_of("text "))
    assert {ord("x"), END} < may(grammars)
    assert not grammars.problem(0)
    for token in tokens_of("<tool_call>{"):
        draw(grammars, token)
        settle(grammars)
    assert grammars.problem(0)
