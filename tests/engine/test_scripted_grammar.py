"""The scripted engine under grammars: its rule, applied to the allowed tokens.

Covers `grammar_check`.
"""

import json
import random

import msgspec
import pytest
from llguidance import LLMatcher

from backend.driven import Driven, choices, named, submit
from engine.schemas import follows, random_schema
from rowcast.sampling.grammars.grammars import token_texts_of
from rowcast.scripted_vocabulary import END, TEXTS

from . import rule

PROMPT = b"Say something of this form: "
PERSON = LLMatcher.grammar_from_json_schema(
    {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    }
)


def text_of(tokens: list[int]) -> str:
    return b"".join(TEXTS[token] for token in tokens).decode()


def reply_by_the_rule(grammar: str, seed: int, most: int) -> tuple[list[int], str]:
    """Compute the reply directly, one token after another."""
    matcher = LLMatcher(token_texts_of(TEXTS, END, len(TEXTS)), grammar)
    tokens = list(PROMPT)
    while len(tokens) < len(PROMPT) + most:
        mask = matcher.compute_bitmask()
        allowed = [token for token in range(len(TEXTS)) if mask[token // 8] >> token % 8 & 1]
        token = rule.next_among(tokens, seed, 0, len(tokens) - len(PROMPT), allowed)
        if token == END:
            return tokens[len(PROMPT) :], "stop"
        tokens.append(token)
        matcher.consume_token(token)
        if matcher.is_stopped():
            return tokens[len(PROMPT) :], "stop"
    return tokens[len(PROMPT) :], "length"


@pytest.mark.slow
@pytest.mark.parametrize("most", [9, 200])
def test_it_follows_the_rule_and_the_grammar(most: int) -> None:
    driven = Driven()
    reader = driven.reader()
    for seed in range(6):
        ask = submit(
            f"{seed}", PROMPT, seed=seed, max_tokens=most, ignore_eos=False, grammar=PERSON
        )
        reader.send(ask)
    driven.finish()
    for seed in range(6):
        tokens, reason = reply_by_the_rule(PERSON, seed, most)
        assert (reader.tokens[f"{seed}"], reader.reason(f"{seed}")) == (tokens, reason)


@pytest.mark.slow
def test_every_whole_reply_follows_its_schema() -> None:
    driven = Driven(context_length=9000)
    reader = driven.reader()
    schemas = {f"{number}": random_schema(random.Random(number)) for number in range(25)}
    for name, schema in schemas.items():
        grammar = LLMatcher.grammar_from_json_schema(json.dumps(schema))
        reader.send(submit(name, PROMPT, max_tokens=600, grammar=grammar))
    driven.finish()
    stopped = [name for name in schemas if reader.reason(name) == "stop"]
    assert len(stopped) > 20
    for name in stopped:
        assert follows(json.loads(text_of(reader.tokens[name])), schemas[name])


def test_min_tokens_and_ignore_eos_do_not_outlive_the_grammar() -> None:
    driven = Driven()
    reader = driven.reader()
    may_go_on, must_end = (LLMatcher.grammar_from_regex(each) for each in ("a*", "a{4}"))
    reader.send(
        submit("longer", PROMPT, max_tokens=40, min_tokens=30, ignore_eos=False, grammar=may_go_on),
        submit("forever", PROMPT, max_tokens=40, ignore_eos=True, grammar=may_go_on),
        submit("ended", PROMPT, max_tokens=40, min_tokens=30, grammar=must_end),
        submit("right at the limit", PROMPT, max_tokens=4, grammar=must_end),
    )
    driven.finish()
    assert len(reader.tokens["longer"]) >= 30
    assert (len(reader.tokens["forever"]), reader.reason("forever")) == (40, "length")
    assert text_of(reader.tokens["ended"]) == "aaaa"
    assert reader.reason("ended") == reader.reason("right at the limit") == "stop"


@pytest.mark.parametrize("lives", [[3], [1, 5], [40]])
def test_a_reply_survives_backends_under_a_grammar(lives: list[int]) -> None:
    tokens, reason = reply_by_the_rule(PERSON, 3, 200)
    delivered: list[int] = []
    for life in [*lives, 10**4]:
        driven = Driven()
        reader = driven.reader()
        ask = submit("s", PROMPT, seed=3, max_tokens=200, ignore_eos=False, grammar=PERSON)
        reader.send(msgspec.structs.replace(ask, delivered=tuple(delivered)))
        for _ in range(life):
            driven.step()
            if reader.ends:
                break
        delivered += reader.tokens["s"]
        if reader.ends:
            break
    assert (delivered, reader.reason("s")) == (tokens, reason)


def test_a_whole_reply_that_is_fed_again_ends_without_another_token() -> None:
    tokens, _ = reply_by_the_rule(PERSON, 3, 200)
    driven = Driven()
    reader = driven.reader()
    reader.send(
        submit(
            "s", PROMPT, seed=3, max_tokens=900, ignore_eos=True, grammar=PERSON, delivered=tokens
        )
    )
    driven.finish()
    assert (reader.tokens["s"], reader.reason("s")) == ([], "stop")
    assert reader.ends["s"].length == len(tokens)


def test_a_faulty_grammar_ends_its_reply_and_no_other() -> None:
    driven = Driven()
    reader = driven.reader()
    reader.send(
        submit("faulty", PROMPT, grammar="nonsense {"),
        submit("plain", PROMPT),
        submit("sound", PROMPT, max_tokens=300, grammar=PERSON),
    )
    driven.finish()
    assert reader.reason("faulty") == "error"
    assert "the reply's grammar cannot be followed" in reader.ends["faulty"].message
    assert reader.reason("plain") == "length"
    assert reader.reason("sound") == "stop"


def test_nothing_left_to_choose_from_ends_the_reply() -> None:
    driven = Driven()
    reader = driven.reader()
    reader.send(submit("s", PROMPT, grammar=LLMatcher.grammar_from_regex(""), ignore_eos=True))
    driven.finish()
    assert (reader.reason("s"), reader.tokens["s"]) == ("error", [])


@pytest.mark.slow
def test_choices_under_a_grammar_share_their_prompt() -> None:
    driven = Driven()
    reader = driven.reader()
    reader.send(*choices("s", 5, PROMPT * 3, max_tokens=300, grammar=PERSON, ignore_eos=False))
    driven.finish()
    said = [text_of(reader.tokens[named("s", choice)]) for choice in range(5)]
    assert all(set(json.loads(each)) == {"name", "age"} for each in said)
    assert len(set(said)) == 5
    assert driven.engine.forks == [3 * len(PROMPT) - 1] * 4
