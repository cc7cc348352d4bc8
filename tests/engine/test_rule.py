"""The scripted engine follows its rule: three implementations of it, and values fixed by hand."""

from collections.abc import Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from commands.bench.verification.scripted_rule import reply_to
from rowcast.engine.engine import Feed, Seating
from rowcast.engine.scripted_engine import ScriptedEngine
from rowcast.sampling_params import SamplingParams
from rowcast.text.tokens.tokenizer import ScriptedTokenizer

from . import rule

BOUNDED = settings(deadline=None, derandomize=True, max_examples=100)
SEEDS = st.integers(0, 2**63 - 1) | st.integers(0, 50)
PROMPTS = st.lists(
    st.integers(0, 255) | st.sampled_from([0xF0, 0x9F, 0xE6, 0xC3]) | st.integers(256, 3856),
    min_size=1,
    max_size=12,
)


def reply(
    prompt: Sequence[int], seed: int, params: SamplingParams, choice: int = 0
) -> tuple[tuple[int, ...], str]:
    """Return the engine's reply, computed one token per step."""
    engine = ScriptedEngine(rows=1)
    engine.seat(0, Seating(params, seed, choice, len(prompt)))
    fed, fresh, tokens = 0, list(prompt), list[int]()
    while len(tokens) < params.max_tokens:
        (drawn,) = engine.step([Feed(0, fed, fresh, draws=True)])
        fed, fresh = fed + len(fresh), list(drawn.tokens)
        if fresh[0] in engine.end_tokens:
            return tuple(tokens), "stop"
        tokens += fresh
    return tuple(tokens), "length"


@pytest.mark.slow
@given(PROMPTS, SEEDS, st.integers(0, 3))
@BOUNDED
def test_the_engine_follows_the_rule(prompt: list[int], seed: int, choice: int) -> None:
    params = SamplingParams(max_tokens=20)
    assert reply(prompt, seed, params, choice) == rule.reply(prompt, seed, 20, choice=choice)


@pytest.mark.slow
def test_long_replies_follow_the_rule_to_their_end() -> None:
    for seed in range(20):
        ours = reply(b"Once upon a time", seed, SamplingParams(max_tokens=400))
        assert ours == rule.reply(b"Once upon a time", seed, 400)


@pytest.mark.parametrize(
    ("prompt", "seed", "choice", "text"),
    [
        ("Hello", 1, 0, " puri rimo line map"),
        ("Hello", 1, 1, " dadi pana fifi bu"),
        ("café", 2**63 - 1, 0, " luse lifi resu"),
    ],
)
def test_the_rule_has_not_changed(prompt: str, seed: int, choice: int, text: str) -> None:
    tokens, _ = reply(prompt.encode(), seed, SamplingParams(max_tokens=6), choice)
    assert ScriptedTokenizer().decoder().feed(tokens).startswith(text)


@pytest.mark.slow
def test_the_load_generator_judges_by_the_same_rule() -> None:
    for seed in range(60):
        prompt = "größer 😀"[: seed % 8 + 1]
        tokens, reason = reply(prompt.encode(), seed, SamplingParams(max_tokens=90))
        decoder = ScriptedTokenizer().decoder()
        text = decoder.feed(tokens) + decoder.finish()
        judged = reply_to(prompt.encode(), seed, 90)
        assert (judged.text.decode(), judged.finish_reason) == (text, reason)


def ending_seed(prompt: bytes, before: int) -> int:
    """Return a seed whose reply ends by itself within `before` tokens."""
    return next(seed for seed in range(10**6) if rule.reply(prompt, seed, before)[1] == "stop")


def test_a_reply_may_end_by_itself() -> None:
    seed = ending_seed(b"end", 40)
    assert reply(b"end", seed, SamplingParams(max_tokens=40))[1] == "stop"


def test_before_min_tokens_it_speaks_on() -> None:
    seed = ending_seed(b"end", 40)
    length = len(reply(b"end", seed, SamplingParams(max_tokens=40))[0])
    params = SamplingParams(max_tokens=60, min_tokens=length + 1)
    tokens, _ = reply(b"end", seed, params)
    assert len(tokens) > length
    assert (tokens, _) == rule.reply(b"end", seed, 60, min_tokens=length + 1)


def test_with_ignore_eos_it_always_speaks_on() -> None:
    seed = ending_seed(b"end", 40)
    params = SamplingParams(max_tokens=300, ignore_eos=True)
    tokens, reason = reply(b"end", seed, params)
    assert (len(tokens), reason) == (300, "length")
    assert (tokens, reason) == rule.reply(b"end", seed, 300, ignore_eos=True)


def test_other_parameters_do_not_change_what_it_says() -> None:
    plain = SamplingParams(max_tokens=30)
    changed = SamplingParams(max_tokens=30, temperature=0.1, top_k=7, top_p=0.2)
    assert reply(b"same", 5, plain) == reply(b"same", 5, changed)


def test_seed_choice_and_prompt_each_change_what_it_says() -> None:
    params = SamplingParams(max_tokens=30)
    first = reply(b"same", 5, params)
    assert first != reply(b"same", 6, params)
    assert first != reply(b"same", 5, params, choice=1)
    assert first != reply(b"sbme", 5, params)


@pytest.mark.slow
def test_long_replies_are_sound_utf8_of_every_length() -> None:
    spoken = ""
    for seed in range(30):
        tokens, reason = reply(b"speak", seed, SamplingParams(max_tokens=500))
        decoder = ScriptedTokenizer().decoder()
        text = decoder.feed(tokens)
        assert "\ufffd" not in text
        assert reason == "length" or decoder.finish() == ""
        spoken += text
    assert {len(character.encode()) for character in spoken} == {1, 2, 3, 4}
