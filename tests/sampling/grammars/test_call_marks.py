"""Calls whose marks are special tokens of the model: followed by grammars, shown to readers.

Covers `grammars/beginnings`, `grammars/token_bytes`.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import pytest
from tokenizers import AddedToken, Tokenizer

from rowcast.sampling.grammars.grammars import Grammars, token_texts_of_file
from rowcast.text.chat.forms import FORMS
from rowcast.text.chat.parts import CallArguments, CallStart
from rowcast.text.chat.reasoning import hidden, spelt
from rowcast.text.chat.tool_calls import ToolReader
from rowcast.text.rules.tool_rule import Callee, rule_of_calls, rule_of_optional_calls
from rowcast.text.tokens.hub_tokenizer import HubTokenizer
from rowcast.text.tokens.shown_tokens import decoder_for

from .test_grammars import seat

pytestmark = pytest.mark.slow

STORYTELLER = Path(__file__).parents[3] / "models" / "storyteller" / "tokenizer.json"
CALLEES = [
    Callee("get", {"type": "object", "properties": {"a": {"enum": [1, 2]}}, "required": ["a"]}),
    Callee("get_all"),
]
# By form: a reply with a call, and its head.
REPLIES = {
    "mistral": '[TOOL_CALLS] [{"name": "get", "arguments": {"a": 1}}]',
    "granite": '<|tool_call|>[{"name": "get", "arguments": {"a": 1}}]',
    "phi": '<|tool_call|>[{"name": "get", "arguments": {"a": 1}}]<|/tool_call|>',
    "named": '[TOOL_CALLS]get[ARGS]{"a": 1}',
    "harmony": (
        "<|channel|>commentary<|message|>So.<|end|><|start|>assistant<|channel|>commentary"
        ' to=functions.get <|constrain|>json<|message|>{"a": 1}<|call|>'
    ),
}
forms = pytest.mark.parametrize("name", REPLIES)


@dataclass(frozen=True)
class Model:
    """A tokenizer that has special tokens for the marks of a form."""

    tokenizer: Tokenizer
    marks: tuple[tuple[int, str], ...]
    ends: frozenset[int]

    def encode(self, text: str) -> list[int]:
        return list(self.tokenizer.encode(text, add_special_tokens=False).ids)


@cache
def model(name: str, *, call_ends: bool = False) -> Model:
    """Return the model of a form. `call_ends`: the mark after a call is an end of text."""
    tokenizer = Tokenizer.from_file(str(STORYTELLER))
    form = FORMS[name]
    tokenizer.add_special_tokens(
        [AddedToken(mark, special=True, normalized=False) for mark in form.marks]
    )
    marks = spelt(HubTokenizer(tokenizer), form.marks)
    assert [mark for _, mark in marks] == list(form.marks)
    ends = {0, *(token for token, mark in marks if call_ends and mark == form.closing)}
    return Model(tokenizer, marks, frozenset(ends))


class Row:
    """A row that follows the rule of a reply."""

    def __init__(self, used: Model, rule: str) -> None:
        text, self.size = used.tokenizer.to_str(), used.tokenizer.get_vocab_size()
        self.grammars = Grammars(
            1, self.size, lambda: token_texts_of_file(text, self.size, used.ends)
        )
        seat(self.grammars, rule, row=0)

    def may(self) -> set[int]:
        """Return the tokens that the row may draw."""
        self.grammars.prepare([0])
        while not self.grammars.free(0) and not self.grammars.finish():
            while not self.grammars.ready(0):
                pass
            self.grammars.prepare([0])
        assert not self.grammars.problem(0)
        if self.grammars.free(0):
            return set(range(self.size))
        mask = self.grammars.allowed(0)
        return {token for token in range(self.size) if mask[token // 8] >> token % 8 & 1}

    def draw(self, tokens: Sequence[int]) -> None:
        for token in tokens:
            assert token in self.may()
            if not self.grammars.take(0, token):
                while not self.grammars.ready(0):
                    pass
                assert self.grammars.take(0, token)
            self.grammars.observe(0, [token])


def optional(name: str, used: Model, *, several: bool = True) -> str:
    rule = rule_of_optional_calls(FORMS[name], CALLEES, several=several, tokens=used.marks)
    return rule.grammar


@forms
def test_a_call_in_tokens_is_followed(name: str) -> None:
    used = model(name)
    row = Row(used, optional(name, used))
    row.draw(used.encode(f"{REPLIES[name]}"))
    assert row.grammars.ended(0) == (name == "harmony")


@forms
def test_arguments_that_a_schema_refuses_are_not_drawn(name: str) -> None:
    used = model(name)
    row = Row(used, optional(name, used))
    before, _, _ = REPLIES[name].partition("1}")
    row.draw(used.encode(before))
    allowed = "".join(used.tokenizer.decode([token]) for token in row.may())
    assert "1" in allowed
    assert not set("3456789abc") & set(allowed)


@forms
def test_a_required_call_may_be_written_in_tokens_and_in_letters(name: str) -> None:
    used = model(name)
    rule = rule_of_calls(FORMS[name], CALLEES, several=False, tokens=used.marks).grammar
    call = REPLIES[name].removeprefix(
        "<|channel|>commentary<|message|>So.<|end|><|start|>assistant"
    )
    Row(used, rule).draw(used.encode(call))
    letters = Tokenizer.from_file(str(STORYTELLER))
    Row(used, rule).draw(letters.encode(call, add_special_tokens=False).ids)


@forms
def test_hidden_marks_are_shown_to_the_reader(name: str) -> None:
    used = model(name)
    tokenizer = HubTokenizer(used.tokenizer)
    decoder = decoder_for(tokenizer, hidden(tokenizer, used.marks))
    text = decoder.feed(used.encode(REPLIES[name])) + decoder.finish()
    assert text == REPLIES[name]
    parts = ToolReader(FORMS[name], ("get", "get_all")).feed(text)
    assert [part.name for part in parts if isinstance(part, CallStart)] == ["get"]
    assert "".join(p.text for p in parts if isinstance(p, CallArguments)) == '{"a": 1}'


def test_a_mark_that_is_a_token_begins_a_call_before_any_name() -> None:
    used = model("named")
    row = Row(used, optional("named", used))
    row.draw(used.encode("So [TOOL_CALLS]"))
    allowed = {used.tokenizer.decode([token]).strip() for token in row.may()}
    assert all("get_all".startswith(text) or text.startswith("get") for text in allowed)
    assert not used.ends & row.may()


def test_a_mark_in_letters_begins_none() -> None:
    used = model("named")
    row = Row(used, optional("named", used))
    letters = Tokenizer.from_file(str(STORYTELLER))
    row.draw(letters.encode("`[TOOL_CALLS]` is a mark.", add_special_tokens=False).ids)
    assert row.grammars.free(0)


@pytest.mark.parametrize("call_ends", [False, True])
def test_a_turn_ends_after_a_call_in_channels(call_ends: bool) -> None:
    used = model("harmony", call_ends=call_ends)
    row = Row(used, optional("harmony", used))
    *before, last = used.encode(REPLIES["harmony"])
    row.draw(before)
    assert last in row.may()
    assert used.ends <= row.may()
    row.draw([last])
    assert row.grammars.ended(0)


@pytest.mark.parametrize(
    "header",
    [
        " to=functions.get<|channel|>commentary json<|message|>",
        " to=functions.get<|channel|>commentary <|constrain|>json<|message|>",
        "<|channel|>commentary to=functions.get<|constrain|>json<|message|>",
        "<|channel|>commentary to=functions.get json<|message|>",
        "<|channel|>analysis to=functions.get<|message|>",
    ],
)
def test_headers_as_models_write_them(header: str) -> None:
    used = model("harmony")
    Row(used, optional("harmony", used)).draw(used.encode(f'{header}{{"a": 2}}<|call|>'))
    parts = ToolReader(FORMS["harmony"], ("get",)).feed(f'{header}{{"a": 2}}<|call|>')
    assert parts == [CallStart(0, "get"), CallArguments(0, '{"a": 2}')]
