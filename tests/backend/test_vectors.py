"""Prompts that become vectors: fed like any other, beside any other, and ended with one vector.

Covers `scripted_states`.
"""

import random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import rule
from rowcast.wire import Finished, Pooled, Pooling

from .driven import Driven, RecordedEngine, embed, submit

BOUNDED = settings(deadline=None, derandomize=True, max_examples=40)
TEXT = b"Once upon a time there was a row"
POOLINGS: list[Pooling] = ["last", "mean"]


@pytest.mark.slow
@given(st.integers(1, 200), st.integers(1, 40), st.sampled_from(POOLINGS), st.integers(0, 3))
@BOUNDED
def test_a_vector_is_a_function_of_the_prompt(
    length: int, width: int, pooling: Pooling, others: int
) -> None:
    driven = Driven(rows=2, width=width)
    reader = driven.reader()
    prompt = (TEXT * 7)[:length]
    reader.send(
        *(submit(f"before {at}", TEXT, max_tokens=9, seed=at) for at in range(others)),
        embed("mine", prompt, pooling),
        embed("other", TEXT, "mean"),
    )
    driven.finish()
    assert reader.vectors["mine"] == rule.vector(prompt, pooling)
    assert reader.vectors["other"] == rule.vector(TEXT, "mean")
    assert reader.ends["mine"] == Finished("mine", 0, 0, "length")
    for at in range(others):
        whole = rule.reply(TEXT, at, 9, ignore_eos=True)[0]
        assert tuple(reader.tokens[f"before {at}"]) == whole


@pytest.mark.parametrize("pooling", POOLINGS)
def test_every_token_is_fed_and_none_is_drawn(pooling: Pooling) -> None:
    driven = Driven(width=10)
    reader = driven.reader()
    reader.send(embed("s", TEXT, pooling))
    driven.finish()
    fed = [feed for feeds in driven.engine.steps for feed in feeds]
    assert b"".join(bytes(feed.tokens) for feed in fed) == TEXT
    assert not any(feed.draws for feed in fed)
    assert not reader.tokens["s"]


@pytest.mark.parametrize("pooling", POOLINGS)
def test_a_vector_is_the_same_over_a_prefix_that_was_computed_before(pooling: Pooling) -> None:
    driven = Driven()
    reader = driven.reader()
    prompt, longer = TEXT * 7, TEXT * 7 + b" of cells"
    for name, text, key in (("cold", longer, ""), ("first", prompt, "a"), ("warm", longer, "a")):
        reader.send(embed(name, text, pooling, key=key))
        driven.finish()
    assert reader.vectors["warm"] == reader.vectors["cold"] == rule.vector(longer, pooling)
    assert reader.cached["warm"] == (len(prompt) if pooling == "last" else 0)
    reader.send(submit("chat", longer, key="a"))
    driven.finish()
    assert tuple(reader.tokens["chat"]) == rule.reply(longer, 1, 8, ignore_eos=True)[0]


def test_a_prompt_may_fill_the_context() -> None:
    driven = Driven(context_length=len(TEXT))
    reader = driven.reader()
    reader.send(embed("s", TEXT), embed("t", TEXT + b"!"))
    driven.finish()
    assert reader.vectors == {"s": rule.vector(TEXT, "last")}
    assert "33 tokens; the model's context holds 32" in reader.rejected["t"].message


def test_prompts_of_a_burst_share_the_rows() -> None:
    driven = Driven(rows=4, width=16)
    reader = driven.reader()
    chance = random.Random(3)
    prompts = {f"{at}": TEXT[: chance.randrange(1, 30)] for at in range(50)}
    reader.send(*(embed(name, prompt, "mean") for name, prompt in prompts.items()))
    driven.finish()
    assert reader.vectors == {name: rule.vector(each, "mean") for name, each in prompts.items()}


def test_a_cancelled_prompt_frees_its_row_and_leaves_nothing_there() -> None:
    driven = Driven(rows=1, width=8)
    reader = driven.reader()
    reader.send(embed("given up", TEXT, "mean"))
    driven.step()
    assert driven.seated == 1
    reader.cancel("given up")
    reader.send(embed("next", TEXT[:9], "mean"), submit("last", TEXT, max_tokens=5))
    driven.finish()
    assert reader.reason("given up") == "cancelled"
    assert reader.vectors == {"next": rule.vector(TEXT[:9], "mean")}
    assert tuple(reader.tokens["last"]) == rule.reply(TEXT, 1, 5, ignore_eos=True)[0]


def test_a_frontend_that_leaves_frees_its_rows_in_the_engine() -> None:
    driven = Driven(width=8)
    leaves = driven.reader()
    leaves.send(embed("s", TEXT, "mean"))
    driven.step()
    assert driven.engine._pools
    leaves.port.close()
    driven.readers.remove(leaves)
    driven.step(2)
    assert not driven.engine._pools


def test_another_backend_computes_the_same_vector_again() -> None:
    found = []
    for delivered in (None, ()):
        driven = Driven()
        reader = driven.reader()
        reader.send(embed("s", TEXT, delivered=delivered))
        driven.finish()
        found.append(reader.vectors["s"])
    assert found[0] == found[1] == rule.vector(TEXT, "last")


@pytest.mark.parametrize(
    "asked", [{"max_tokens": 1}, {"prompt_logprobs": True}, {"delivered": (32,)}]
)
def test_a_prompt_with_a_vector_and_tokens_or_scores_is_refused(asked: dict[str, Any]) -> None:
    driven = Driven()
    reader = driven.reader()
    reader.send(embed("s", TEXT, **asked))
    driven.step()
    assert reader.rejected["s"].reason == "invalid"
    assert "neither reply tokens nor scores" in reader.rejected["s"].message


def test_a_build_without_vectors_refuses() -> None:
    engine = RecordedEngine()
    engine.dimensions = 0
    driven = Driven(engine=engine)
    reader = driven.reader()
    reader.send(embed("s", TEXT))
    driven.step()
    assert "computes no embeddings" in reader.rejected["s"].message
    assert reader.statuses[-1].dimensions == 0


def test_the_status_has_the_size_of_a_vector() -> None:
    driven = Driven()
    reader = driven.reader()
    driven.step()
    assert reader.statuses[0].dimensions == 64


def test_vectors_of_one_session_share_what_their_prompts_begin_with() -> None:
    kinds: list[Pooled] = ["last", "logits", "last", "logits"]
    prompts = [TEXT * 3 + bytes([97 + at]) for at in range(4)]
    driven = Driven(width=20)
    reader = driven.reader()
    reader.send(
        *(
            embed("s", prompt, kind, choice=at, logits=(5, 6) if kind == "logits" else ())
            for at, (kind, prompt) in enumerate(zip(kinds, prompts, strict=True))
        )
    )
    driven.finish()
    assert driven.engine.forks == [len(TEXT) * 3] * 3
    assert driven.engine.computed == len(TEXT) * 3 + 4
    for at, (kind, prompt) in enumerate(zip(kinds, prompts, strict=True)):
        logits = [rule.fp32(rule.logprob(prompt, token)) for token in (5, 6)]
        wanted = logits if kind == "logits" else rule.vector(prompt, "last")
        assert reader.vectors[f"s/{at}" if at else "s"] == wanted


def test_a_mean_needs_every_token() -> None:
    driven = Driven()
    reader = driven.reader()
    reader.send(*(embed("s", TEXT + bytes([97 + at]), "mean", choice=at) for at in range(3)))
    driven.finish()
    assert driven.engine.forks == []


@pytest.mark.parametrize(
    ("asked", "message"),
    [
        ({"pooling": "label"}, "no classifier"),
        ({"pooling": "logits"}, "0 logits are requested"),
        ({"pooling": "logits", "logits": (1,) * 17}, "17 logits are requested"),
        ({"pooling": "logits", "logits": (3857,)}, "token 3857 of the list of logits"),
    ],
)
def test_what_the_model_has_not_is_refused(asked: dict[str, Any], message: str) -> None:
    driven = Driven()
    reader = driven.reader()
    reader.send(embed("s", TEXT, **asked))
    driven.step()
    assert message in reader.rejected["s"].message


def test_a_classifier_writes_no_reply() -> None:
    engine = RecordedEngine()
    engine.classifies = True
    driven = Driven(engine=engine)
    reader = driven.reader()
    reader.send(submit("s", TEXT), embed("t", TEXT, "logits", logits=(1,)), embed("u", TEXT))
    driven.finish()
    assert "is a classifier, which writes no replies" in reader.rejected["s"].message
    assert "has no logits of tokens" in reader.rejected["t"].message
    assert reader.vectors == {"u": rule.vector(TEXT, "last")}
