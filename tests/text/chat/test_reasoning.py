"""Reasoning in a text: independent of the cuts; where it begins; rules that apply after it."""

from collections.abc import Sequence
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llguidance import LLMatcher
from tokenizers import AddedToken
from tokenizers import Tokenizer as FastTokenizer

from rowcast.sampling.grammars.grammars import token_texts_of_file
from rowcast.text.chat.forms.tagged import TAGGED
from rowcast.text.chat.reasoning import KNOWN, ReasoningReader, Start, Thinking, after
from rowcast.text.rules import grammar
from rowcast.text.rules.tool_rule import Callee, rule_of_calls
from rowcast.text.tokens.hub_tokenizer import HubTokenizer
from rowcast.text.tokens.shown_tokens import decoder_for
from rowcast.text.tokens.tokenizer import ScriptedTokenizer

STORYTELLER = Path(__file__).parents[3] / "models" / "storyteller" / "tokenizer.json"
THINK = KNOWN[0]
TEMPLATE = "… <think> … </think> …"

CASES: list[tuple[Start, str, tuple[str, str]]] = [
    (Start.MAYBE, "<think>\na b\n</think>\n\nc d\n", ("a b", "c d\n")),
    (Start.MAYBE, "\n <think>a</think>b", ("a", "b")),
    (Start.MAYBE, "<think>\n\n</think>\n\nb", ("", "b")),
    (Start.MAYBE, "<thin", ("", "<thin")),
    (Start.MAYBE, " <thinker>a</think>", ("", " <thinker>a</think>")),
    (Start.MAYBE, "", ("", "")),
    (Start.MAYBE, "a <think>b</think>", ("", "a <think>b</think>")),
    (Start.MAYBE, "<think>a", ("a", "")),
    (Start.INSIDE, "a\n\nb < c </thin \n </think>d", ("a\n\nb < c </thin", "d")),
    (Start.INSIDE, "a</think>b</think>c", ("a", "b</think>c")),
    (Start.INSIDE, "a </thi", ("a </thi", "")),
    (Start.INSIDE, "</think>  \n", ("", "")),
    (Start.INSIDE, "<think>a</think>b", ("<think>a", "b")),
]


def outcome(start: Start, pieces: Sequence[str]) -> tuple[str, str]:
    reader = ReasoningReader(Thinking(THINK, start))
    found = [reader.feed(piece) for piece in pieces] + [reader.finish()]
    return "".join(thought for thought, _ in found), "".join(rest for _, rest in found)


@pytest.mark.parametrize(("start", "text", "parts"), CASES)
def test_reasoning_and_text_are_parted(start: Start, text: str, parts: tuple[str, str]) -> None:
    assert outcome(start, [text]) == parts
    assert outcome(start, list(text)) == parts


@pytest.mark.slow
@settings(max_examples=300, deadline=None)
@given(
    start=st.sampled_from(Start),
    parts=st.lists(st.sampled_from(["<think>", "</think>", "<", "/th", " ", "\n", "a", "ö"])),
    cuts=st.lists(st.integers(0, 60)),
)
def test_cuts_make_no_difference(start: Start, parts: list[str], cuts: list[int]) -> None:
    text = "".join(parts)
    places = sorted({0, len(text), *(cut % (len(text) + 1) for cut in cuts)})
    pieces = [text[at:to] for at, to in pairwise(places)]
    assert outcome(start, pieces) == outcome(start, [text])


@pytest.mark.parametrize(
    ("template", "prompt", "start"),
    [
        (TEMPLATE, "assistant\n", Start.MAYBE),
        (TEMPLATE, "assistant\n<think>\n", Start.INSIDE),
        (TEMPLATE, "assistant<think>", Start.INSIDE),
        (TEMPLATE, "assistant\n<think>\n\n</think>\n\n", None),
        (TEMPLATE, "user: <think>\nassistant\n", Start.MAYBE),
        ("{{ content.split('</think>')[-1] }}", "assistant", Start.MAYBE),
        ("[THINK] [/THINK]", "[/INST]", Start.MAYBE),
        ("no such words", "assistant\n<think>\n", None),
    ],
)
def test_the_prompt_tells_how_a_reply_begins(
    template: str, prompt: str, start: Start | None
) -> None:
    thinking = Thinking.of(template, prompt)
    assert (thinking.start if thinking else None) is start


@pytest.mark.parametrize(
    ("said", "inside"),
    [("<think>a", True), ("<think>a</think>b", False), ("a", False), ("", False),
     ("<think>a</think><think>b", True)],
)  # fmt: skip
def test_a_reply_that_goes_on_is_where_it_was(said: str, inside: bool) -> None:
    assert (Thinking.within(TEMPLATE, said) is not None) is inside
    assert Thinking.within("plain", said) is None


JSON = grammar.of_json_schema(
    {"type": "object", "properties": {"a": {"type": "integer"}}, "additionalProperties": False}
)
CALL = rule_of_calls(TAGGED, [Callee("f")], several=False).grammar
RULES = [
    (JSON, '{"a": 1}'),
    (CALL, '<tool_call>{"name": "f", "arguments": {}}</tool_call>'),
    (grammar.of_regex("[0-9]{3}"), "123"),
    (grammar.of_choices(["yes", "no"]), "yes"),
    (grammar.of_lark('start: "x" body\nbody: "y"'), "xy"),
]


def tokenizer_with(kind: str) -> FastTokenizer:
    """Return the storyteller's tokenizer: it spells the marks, or has (special) tokens for them."""
    tokenizer = FastTokenizer.from_file(str(STORYTELLER))
    marks = [
        AddedToken(mark, special=kind == "special", normalized=False)
        for mark in (THINK.opening, THINK.closing)
    ]
    if kind == "special":
        tokenizer.add_special_tokens(marks)
    elif kind == "added":
        tokenizer.add_tokens(marks)
    return tokenizer


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["spelt", "added", "special"])
@pytest.mark.parametrize("start", Start)
@pytest.mark.parametrize(("rule", "text"), RULES)
def test_a_rule_begins_after_the_reasoning(kind: str, start: Start, rule: str, text: str) -> None:
    tokenizer = tokenizer_with(kind)
    thinking = Thinking(THINK, start).spelt(HubTokenizer(tokenizer))
    assert len(thinking.tokens) == (0 if kind == "spelt" else 2)
    assert len(thinking.hidden) == (2 if kind == "special" else 0)
    made = grammar.checked(after(thinking, rule))
    token_texts = token_texts_of_file(
        tokenizer.to_str(), tokenizer.get_vocab_size(), frozenset({0})
    )
    spelling = FastTokenizer.from_file(str(STORYTELLER))

    def fits(said: str, by: FastTokenizer = tokenizer) -> bool:
        matcher = LLMatcher(token_texts, made, log_level=0)
        assert not matcher.is_error(), matcher.get_error()
        tokens = by.encode(said, add_special_tokens=False).ids
        return matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting()

    begin = "<think>\n" if start is Start.MAYBE else ""
    for thought in ("Once upon a time.\n", "", "größer </thin 😀 \n\n", text):
        for space in ("", "\n\n", " "):
            assert fits(f"{begin}{thought}</think>{space}{text}")
    assert fits(f"{begin}I see </think>{text}", spelling), "the marks may be spelt, too"
    assert fits(text) is (start is Start.MAYBE)
    assert not fits(f"{begin}I see {text}")
    assert not fits(f"{begin}I see </think>! {text}")
    assert not fits(f"{begin}I see </think>\n\n")


CHANNELS = KNOWN[2]
ANALYSIS, FINAL = "<|channel|>analysis<|message|>", "<|channel|>final<|message|>"
TURN = "<|end|><|start|>assistant"


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        (f"{ANALYSIS}a < b{TURN}{FINAL}c d\n", ("a < b", "c d\n")),
        (f"{FINAL}c", ("", "c")),
        (f"{ANALYSIS}a{TURN}", ("a" + TURN, "")),
        ("Hello <|channel|>", ("", "Hello <|channel|>")),
        ("<|chan", ("", "<|chan")),
    ],
)
def test_channels_are_parted(text: str, parts: tuple[str, str]) -> None:
    for pieces in ([text], list(text)):
        reader = ReasoningReader(Thinking(CHANNELS, Start.MAYBE))
        found = [reader.feed(piece) for piece in pieces] + [reader.finish()]
        assert tuple("".join(each) for each in zip(*found, strict=True)) == parts


def test_a_rule_begins_in_the_final_channel() -> None:
    tokenizer = FastTokenizer.from_file(str(STORYTELLER))
    names = ("<|start|>", "<|end|>", "<|channel|>", "<|message|>")
    tokenizer.add_special_tokens([AddedToken(name, special=True) for name in names])
    ours = HubTokenizer(tokenizer)
    found = Thinking.of("… <|channel|>final<|message|> …", "<|start|>assistant")
    assert found is not None
    thinking = found.spelt(ours)
    assert {name for _, name in thinking.hidden} == set(names)
    made = grammar.checked(after(thinking, grammar.of_choices(["yes", "no"])))
    token_texts = token_texts_of_file(
        tokenizer.to_str(), tokenizer.get_vocab_size(), frozenset({0})
    )

    def fits(said: str) -> bool:
        matcher = LLMatcher(token_texts, made, log_level=0)
        assert not matcher.is_error(), matcher.get_error()
        tokens = tokenizer.encode(said, add_special_tokens=False).ids
        return matcher.try_consume_tokens(tokens) == len(tokens) and matcher.is_accepting()

    assert fits(f"{ANALYSIS}Hm. yes?{TURN}{FINAL}yes")
    assert fits(f"{FINAL}no")
    assert not fits(f"{ANALYSIS}yes")
    assert not fits(f"{ANALYSIS}Hm.{TURN}{FINAL}perhaps")
    shown = decoder_for(ours, thinking.hidden)
    text = f"{ANALYSIS}Hm.{TURN}{FINAL}yes"
    assert shown.feed(ours.encode(text, special=False)) + shown.finish() == text


def test_a_model_that_spells_bytes_has_no_tokens_for_marks() -> None:
    assert Thinking(THINK, Start.MAYBE).spelt(ScriptedTokenizer()).tokens == ()
