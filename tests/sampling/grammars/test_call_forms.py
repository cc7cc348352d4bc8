"""Rows whose calls are written in any form: each path has valid calls, and feeding it again is the
same.
"""

import json

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowcast.text.chat.forms import FORMS
from rowcast.text.chat.forms.form import Form
from rowcast.text.rules.tool_rule import rule_of_optional_calls
from sizes import often

from .test_call_rule import (
    CALLEES,
    END,
    WANTED,
    calls_in,
    draw,
    may,
    seated,
    text_of,
    tokens_of,
)

pytestmark = pytest.mark.slow

OPENINGS = {
    "mistral": 'So [TOOL_CALLS] [{"name": "get_all", "arguments": {',
    "granite": '<|tool_call|>[{"name": "get", "arguments": {',
    "phi": '<|tool_call|>[{"name": "now", "arguments": {}}, {"name": "',
    "named": "So [TOOL_CALLS]get_all[ARGS]{",
    "harmony": "<|channel|>commentary to=functions.get <|constrain|>json<|message|>{",
}
RULES = {
    name: rule_of_optional_calls(FORMS[name], CALLEES, several=True).grammar for name in OPENINGS
}
forms = pytest.mark.parametrize("form", [FORMS[name] for name in OPENINGS], ids=OPENINGS)
CHOICES = st.lists(st.integers(0, 10**6), min_size=1, max_size=40)


@forms
@given(CHOICES)
@settings(deadline=None, derandomize=True, max_examples=often(15, 150))
def test_each_path_of_allowed_tokens_has_valid_calls(form: Form, choices: list[int]) -> None:
    grammars, reply = seated(RULES[form.name]), tokens_of(OPENINGS[form.name])
    for token in reply:
        assert token in may(grammars)
        draw(grammars, token)
    for choice in choices:
        allowed = sorted(may(grammars) - {END})
        if grammars.ended(0) or not allowed:
            break
        reply.append(allowed[choice % len(allowed)])
        draw(grammars, reply[-1])
    calls, unfinished = calls_in(form, text_of(reply))
    assert calls
    for name, arguments in calls[: len(calls) - unfinished]:
        assert json.loads(arguments) in WANTED[name]


@forms
@given(CHOICES, st.integers(0, 80))
@settings(deadline=None, derandomize=True, max_examples=often(10, 80))
def test_a_reply_that_is_fed_again_goes_on_as_before(
    form: Form, choices: list[int], begun: int
) -> None:
    reply, drawn = tokens_of(OPENINGS[form.name])[:begun], seated(RULES[form.name])
    for token in reply:
        assert token in may(drawn)
        draw(drawn, token)
    for choice in choices[:6]:
        if drawn.ended(0):
            return
        reply.append(sorted(may(drawn))[choice % len(may(drawn))])
        draw(drawn, reply[-1])
    assert may(seated(RULES[form.name], reply)) == may(drawn)
