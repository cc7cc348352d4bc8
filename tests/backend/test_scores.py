"""Log-probabilities in events: a reply's with its tokens, a prompt's before the reply."""

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine import rule
from rowcast.wire import Finished, Tokens

from .driven import Driven, Reader, submit

BOUNDED = settings(deadline=None, derandomize=True, max_examples=40)
TEXT = b"Once upon a time"


def scored(reader: Reader, session: str) -> list[float]:
    """Return the scores of a prompt; check that each event's index is that of its first token."""
    numbers: list[float] = []
    for event in reader.scored[session]:
        assert event.index == len(numbers) + 1
        numbers += event.logprobs
    return numbers


@pytest.mark.slow
@given(st.integers(1, 40), st.integers(2, 24), st.integers(0, 5))
@BOUNDED
def test_a_prompt_is_scored_once_and_in_order(length: int, width: int, max_tokens: int) -> None:
    driven = Driven(rows=2, width=width)
    reader = driven.reader()
    prompt = (TEXT * 3)[:length]
    reader.send(
        submit("mine", prompt, max_tokens=max_tokens, prompt_logprobs=True, top_logprobs=2),
        submit("other", TEXT, max_tokens=9),
    )
    driven.finish()
    assert scored(reader, "mine") == list(rule.prompt_logprobs(prompt))
    tops = [top for event in reader.scored["mine"] for top in event.top or ()]
    assert tops == [rule.likeliest(prompt[:at], 2) for at in range(1, length)]
    assert tuple(reader.tokens["mine"]) == rule.reply(prompt, 1, max_tokens, ignore_eos=True)[0]
    assert reader.ends["mine"] == Finished("mine", 0, max_tokens, "length")
    assert not reader.scored["other"]


def test_what_is_only_scored_is_never_fed_its_last_token() -> None:
    driven = Driven()
    reader = driven.reader()
    reader.send(submit("s", TEXT, max_tokens=0, prompt_logprobs=True))
    driven.finish()
    ((feed,),) = driven.engine.steps
    assert bytes(feed.tokens) == TEXT[:-1]
    assert not feed.draws


@pytest.mark.parametrize(("prompt", "asked"), [(b"a", True), (TEXT, False)])
def test_no_tokens_and_no_scores_end_at_once(prompt: bytes, asked: bool) -> None:
    driven = Driven()
    reader = driven.reader()
    reader.send(submit("s", prompt, max_tokens=0, prompt_logprobs=asked))
    driven.step()
    assert reader.ends["s"] == Finished("s", 0, 0, "length")
    assert driven.engine.steps == []


@pytest.mark.parametrize(("delivered", "again"), [((), True), (None, True), ((32,), False)])
def test_whoever_has_reply_tokens_has_had_the_scores(
    delivered: tuple[int, ...] | None, again: bool
) -> None:
    driven = Driven()
    reader = driven.reader()
    reader.send(submit("s", TEXT, prompt_logprobs=True, delivered=delivered))
    driven.finish()
    assert bool(scored(reader, "s")) is again


def test_log_probabilities_of_a_reply_come_with_its_tokens() -> None:
    driven = Driven()
    reader = driven.reader()
    reader.send(submit("s", TEXT, max_tokens=5, logprobs=True, top_logprobs=3))
    driven.finish()
    before = list(TEXT)
    for event in [each for batch in reader.batches for each in batch]:
        if isinstance(event, Tokens):
            (token,) = event.tokens
            assert event.logprobs == (rule.logprob(before, token),)
            assert event.top == (rule.likeliest(before, 3),)
            before.append(token)
    assert len(before) == len(TEXT) + 5


def test_a_prompt_that_fills_the_context_can_still_be_scored() -> None:
    driven = Driven(context_length=16)
    reader = driven.reader()
    reader.send(submit("s", TEXT, max_tokens=0, prompt_logprobs=True))
    reader.send(submit("t", TEXT + b"!", max_tokens=0, prompt_logprobs=True))
    driven.finish()
    assert len(scored(reader, "s")) == 15
    assert reader.rejected["t"].reason == "too_long"


def test_more_numbers_than_a_frontend_should_hold_are_refused() -> None:
    driven = Driven(context_length=2**20)
    reader = driven.reader()
    for session, top in (("few", 0), ("many", 100)):
        reader.send(
            submit(session, TEXT * 1000, max_tokens=0, prompt_logprobs=True, top_logprobs=top)
        )
    driven.step()
    assert reader.accepted == {"few"}
    assert reader.rejected["many"].reason == "too_long"
    assert "1616000 numbers; at most 1048576 are allowed" in reader.rejected["many"].message


@pytest.mark.parametrize("token", [-1, 3857, 2**31])
def test_a_token_that_the_model_does_not_have_is_refused(token: int) -> None:
    driven = Driven()
    reader = driven.reader()
    reader.send(submit("s", [1, token]))
    driven.step()
    assert reader.rejected["s"].reason == "invalid"
    assert f"token {token} of the prompt is not between 0 and 3856" in reader.rejected["s"].message
