"""Grammars of rows: their masks, ends and faults, for fresh and resumed replies.

Covers `grammars/rule`.
"""

import time

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from llguidance import LLMatcher, LLTokenizer

from rowcast.sampling.grammars.grammars import Grammars, TokenTextsUnknown, token_texts_of
from rowcast.sampling_params import SamplingParams

END = 256
TEXTS = [*(bytes([byte]) for byte in range(256)), b"", b"ab", b"abc", b'"}', b"null"]
SIZE = 270  # some ids have no text
BOUNDED = settings(deadline=None, derandomize=True, max_examples=60)
WORDS = LLMatcher.grammar_from_regex("(ab|abc|b[0-9]){1,4}")
RULES = [
    WORDS,
    LLMatcher.grammar_from_json_schema({"type": "array", "items": {"enum": ["ab", None]}}),
    LLMatcher.grammar_from_lark("start: /[a-c]*/"),
]


def token_texts() -> LLTokenizer:
    return token_texts_of(TEXTS, END, SIZE)


def seated(rule: str, *, row: int = 0, stops: tuple[int, ...] = ()) -> Grammars:
    grammars = Grammars(4, SIZE, token_texts)
    seat(grammars, rule, row=row, stops=stops)
    return grammars


def seat(grammars: Grammars, rule: str, *, row: int, stops: tuple[int, ...] = ()) -> None:
    grammars.seat(row, SamplingParams(max_tokens=99, grammar=rule, stop_token_ids=stops))
    limit = time.monotonic() + 60
    while not grammars.ready(row):
        assert time.monotonic() < limit, "the grammar is never ready"
        time.sleep(0.001)


def masked(grammars: Grammars, rows: list[int]) -> None:
    """Compute the masks of these rows, however long it takes."""
    limit = time.monotonic() + 60
    grammars.prepare(rows)
    while len(grammars.finish()) < len(rows):
        assert time.monotonic() < limit, "the masks are never there"
        while not all(map(grammars.ready, rows)):
            time.sleep(0.001)
        grammars.prepare(rows)


def allowed(grammars: Grammars, row: int = 0) -> set[int]:
    masked(grammars, [row])
    mask = grammars.allowed(row)
    return {token for token in range(SIZE) if mask[token // 8] >> token % 8 & 1}


def plainly(rule: str, reply: list[int]) -> set[int]:
    """Return the tokens that may follow, each tried separately."""
    matcher = LLMatcher(token_texts(), rule)
    assert matcher.consume_tokens(reply)
    tried = {token for token in range(len(TEXTS)) if matcher.validate_tokens([token])}
    return tried - {END} | ({END} if matcher.is_accepting() else set())


@pytest.mark.slow
@given(st.sampled_from(RULES), st.lists(st.integers(0, 10**6), max_size=12), st.data())
@BOUNDED
def test_a_mask_is_what_may_follow_however_the_reply_came(
    rule: str, choices: list[int], data: st.DataObject
) -> None:
    drawn, reply = seated(rule), list[int]()
    for choice in choices:
        may = sorted(allowed(drawn))
        plain = plainly(rule, reply)
        assert set(may) <= plain  # forced text has only one spelling, by bytes here
        assert {each for each in may if each <= END} == {each for each in plain if each <= END}
        token = may[choice % len(may)]
        drawn.take(0, token)
        if token == END or drawn.ended(0):
            break
        reply.append(token)
        drawn.observe(0, [token])  # as when it is fed
    else:
        again = seated(rule, row=2)
        cut = data.draw(st.integers(0, len(reply)))
        again.observe(2, reply[:cut])
        again.observe(2, reply[cut:])
        assert allowed(again, 2) == allowed(drawn)


def test_it_ends_when_nothing_can_follow() -> None:
    grammars = seated(LLMatcher.grammar_from_regex("ab?"))
    assert allowed(grammars) == {ord("a"), TEXTS.index(b"ab")}
    grammars.take(0, ord("a"))
    assert not grammars.ended(0)
    assert allowed(grammars) == {ord("b"), END}
    grammars.take(0, ord("b"))
    assert grammars.ended(0)


def test_an_end_of_text_ends_it() -> None:
    grammars = seated(LLMatcher.grammar_from_regex("a*"))
    assert END in allowed(grammars)
    grammars.take(0, END)
    assert grammars.ended(0)


def test_stop_tokens_of_the_caller_may_come_where_the_grammar_may_end() -> None:
    grammars = seated(LLMatcher.grammar_from_regex("a[a,]b"), stops=(ord(","), 269, 500, -1))
    assert allowed(grammars) == {ord("a")}
    grammars.take(0, ord("a"))
    assert allowed(grammars) == {ord("a"), TEXTS.index(b"ab")}
    grammars = seated(LLMatcher.grammar_from_regex("ab?"), stops=(ord(","), 269))
    allowed(grammars)
    grammars.take(0, ord("a"))
    assert allowed(grammars) == {ord("b"), END, ord(","), 269}
    grammars.take(0, ord(","))
    assert grammars.problem(0) == ""


@pytest.mark.parametrize("rule", ["nonsense {", LLMatcher.grammar_from_regex("(")])
def test_a_faulty_grammar_is_its_row_s_problem_and_no_other_s(rule: str) -> None:
    grammars = seated(rule)
    seat(grammars, WORDS, row=1)
    masked(grammars, [0, 1])
    assert "the reply's grammar cannot be followed: " in grammars.problem(0)
    assert not any(grammars.allowed(0))
    assert grammars.problem(1) == ""
    assert any(grammars.allowed(1))
    assert not grammars.ended(0)


def test_tokens_that_a_grammar_does_not_allow_are_a_problem() -> None:
    grammars = seated(WORDS)
    grammars.observe(0, [ord("a"), ord("Q")])
    assert allowed(grammars) == set()
    assert "cannot be followed" in grammars.problem(0)
    assert grammars.problem(0).count("\n") == 0


def test_a_model_whose_tokens_have_no_text_says_so() -> None:
    def fail() -> LLTokenizer:
        raise TokenTextsUnknown("this model has no tokenizer.json")

    grammars = Grammars(1, SIZE, fail)
    seat(grammars, WORDS, row=0)
    assert allowed(grammars) == set()
    assert "this model has no tokenizer.json" in grammars.problem(0)


def test_texts_of_another_model_are_refused_before_they_end_a_step() -> None:
    grammars = Grammars(1, 5000, token_texts)
    seat(grammars, WORDS, row=0)
    assert allowed(grammars) == set()
    assert "270 of its 5000 tokens have a text" in grammars.problem(0)


def test_rows_without_a_grammar_are_left_alone() -> None:
    grammars = seated(WORDS)
    grammars.seat(1, SamplingParams(max_tokens=9))
    grammars.observe(1, [1, 2, 3])
    grammars.take(1, 4)
    grammars.prepare([1])
    assert list(grammars.finish()) == []
    assert (grammars.ready(1), grammars.ended(1), grammars.problem(1)) == (True, False, "")


def test_a_row_begins_anew_when_it_is_seated_again() -> None:
    grammars = seated(WORDS)
    before = allowed(grammars)
    grammars.take(0, ord("b"))
    assert allowed(grammars) != before
    seat(grammars, WORDS, row=0)
    assert allowed(grammars) == before
    grammars.seat(0, SamplingParams(max_tokens=9))
    grammars.prepare([0])
    assert list(grammars.finish()) == []


def test_a_grammar_is_compiled_once_and_not_kept_for_ever() -> None:
    loads: list[int] = []

    def load() -> LLTokenizer:
        loads.append(1)
        return token_texts()

    grammars = Grammars(1, SIZE, load)
    for number in range(100):
        seat(grammars, LLMatcher.grammar_from_regex(f"a{{{number % 80}}}b"), row=0)
        assert allowed(grammars) & {ord("a"), ord("b")}
    assert len(loads) == 1
    assert len(grammars.compiler) == 64
