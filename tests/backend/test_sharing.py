"""The choices of one prompt compute it once, and equal the choices computed separately."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from backend.driven import Driven, Reader, choices, named, submit
from engine.rule import reply as expected
from rowcast.backend.sharing import LEAST_SHARED, shared_length

BOUNDED = settings(deadline=None, derandomize=True, max_examples=120)
LONG = bytes(range(65, 91)) * 4


def judge(reader: Reader, count: int, prompt: bytes = LONG, max_tokens: int = 8) -> None:
    """Check each choice against the rule."""
    for choice in range(count):
        name = named("s", choice)
        tokens, reason = expected(prompt, 1, max_tokens, choice=choice, ignore_eos=True)
        assert (tuple(reader.tokens[name]), reader.reason(name)) == (tokens, reason)


@pytest.mark.parametrize("width", [16, 64, 256])
def test_the_prompt_is_computed_once(width: int) -> None:
    driven = Driven(width=width)
    reader = driven.reader()
    reader.send(*choices("s", 8, LONG))
    driven.finish()
    judge(reader, 8)
    # The rest of each choice: the prompt's last token, and all of the reply except its last.
    assert driven.engine.computed == len(LONG) + 7 + 8 * 7
    assert driven.engine.forks == [len(LONG) - 1] * 7


def test_a_choice_that_sits_down_later_shares_it_too() -> None:
    driven = Driven(rows=4)
    reader = driven.reader()
    reader.send(*choices("s", 5, LONG))
    driven.step(3)
    reader.cancel("s", 2)
    driven.finish()
    assert driven.engine.forks == [len(LONG) - 1] * 4
    wanted = expected(LONG, 1, 8, choice=4, ignore_eos=True)
    assert (tuple(reader.tokens["s/4"]), reader.reason("s/4")) == wanted


def test_a_leader_that_ends_with_its_first_token_has_shared_before() -> None:
    driven = Driven()
    reader = driven.reader()
    reader.send(*choices("s", 6, LONG, max_tokens=1))
    driven.finish()
    judge(reader, 6, max_tokens=1)
    assert driven.engine.forks == [len(LONG) - 1] * 5


def test_when_the_leader_goes_another_one_leads() -> None:
    driven = Driven(width=32)
    reader = driven.reader()
    reader.send(*choices("s", 5, LONG))
    driven.step(2)
    reader.cancel("s")
    driven.finish()
    assert reader.reason("s") == "cancelled"
    assert driven.engine.forks == [len(LONG) - 1] * 3
    for choice in range(1, 5):
        wanted = expected(LONG, 1, 8, choice=choice, ignore_eos=True)
        name = named("s", choice)
        assert (tuple(reader.tokens[name]), reader.reason(name)) == wanted


def test_a_cancelled_follower_is_forgotten() -> None:
    driven = Driven(width=32)
    reader = driven.reader()
    reader.send(*choices("s", 3, LONG))
    driven.step()
    reader.cancel("s", 1)
    driven.step()
    reader.send(submit("new", b"Somebody else takes its row", max_tokens=8))
    driven.finish()
    assert driven.engine.forks == [len(LONG) - 1]
    wanted, _ = expected(b"Somebody else takes its row", 1, 8, ignore_eos=True)
    assert tuple(reader.tokens["new"]) == wanted


def test_strangers_share_nothing() -> None:
    driven = Driven()
    reader, other = driven.reader(), driven.reader()
    reader.send(submit("s", LONG), submit("t", LONG))
    other.send(submit("s", LONG))
    driven.finish()
    assert driven.engine.forks == []


def test_prompts_that_are_scored_are_fed_whole_but_may_lead() -> None:
    driven = Driven()
    reader = driven.reader()
    scored, *others = choices("s", 3, LONG, prompt_logprobs=True)
    plain = choices("s", 3, LONG)[2]
    reader.send(scored, others[0], plain)
    driven.finish()
    assert len(driven.engine.forks) == 1
    judge(reader, 3)
    for name in ("s", "s/1"):
        assert sum(len(event.logprobs) for event in reader.scored[name]) == len(LONG) - 1


def test_a_short_beginning_is_not_worth_a_fork() -> None:
    driven = Driven()
    reader = driven.reader()
    reader.send(*choices("s", 3, LONG[:LEAST_SHARED]))
    driven.finish()
    assert driven.engine.forks == []
    judge(reader, 3, LONG[:LEAST_SHARED])


@dataclass(frozen=True)
class Life:
    """How a group of choices is disturbed."""

    rows: int
    width: int
    prompt: int
    count: int
    max_tokens: int
    delivered: tuple[int, ...]  # of each choice, by the previous backend
    cancels: tuple[tuple[int, int], ...]  # (step, choice)
    strangers: tuple[int, ...]  # the steps at which another prompt arrives


LIVES = st.builds(
    Life,
    rows=st.integers(1, 9),
    width=st.integers(9, 60),
    prompt=st.integers(1, len(LONG)),
    count=st.integers(2, 12),
    max_tokens=st.integers(1, 6),
    delivered=st.lists(st.integers(0, 5), min_size=12, max_size=12).map(tuple),
    cancels=st.lists(st.tuples(st.integers(0, 9), st.integers(0, 11)), max_size=4).map(tuple),
    strangers=st.lists(st.integers(0, 9), max_size=3, unique=True).map(tuple),
)


@pytest.mark.slow
@given(LIVES, st.booleans())
@BOUNDED
def test_choices_say_the_same_together_as_alone(life: Life, again: bool) -> None:
    prompt = LONG[: life.prompt]
    wanted = [
        expected(prompt, 1, life.max_tokens, choice=choice, ignore_eos=True)
        for choice in range(life.count)
    ]
    had = [
        tokens[: life.delivered[choice]] if again else ()
        for choice, (tokens, _) in enumerate(wanted)
    ]
    driven = Driven(rows=life.rows, width=life.width)
    reader = driven.reader()
    reader.send(
        *(
            submit("s", prompt, choice=choice, max_tokens=life.max_tokens, delivered=before or None)
            for choice, before in enumerate(had)
        )
    )
    for step in range(10):
        for choice in [choice for at, choice in life.cancels if at == step]:
            reader.cancel("s", choice)
        if step in life.strangers:
            reader.send(submit(f"{step}", LONG, seed=step, max_tokens=3))
        if not step or step in life.strangers or not driven.backend.idle:
            driven.step()  # an idle backend would wait for commands
    if not driven.backend.idle:
        driven.finish()
    for choice, (tokens, reason) in enumerate(wanted):
        name = named("s", choice)
        told = (*had[choice], *reader.tokens[name])
        assert told == tokens[: len(told)]
        if reader.reason(name) != "cancelled":
            assert (told, reader.reason(name)) == (tokens, reason)
    for step in life.strangers:
        strangers, _ = expected(LONG, step, 3, ignore_eos=True)
        assert tuple(reader.tokens[f"{step}"]) == strangers
    assert (driven.seated, driven.waiting) == (0, 0)


@given(st.lists(st.integers(0, 1), max_size=9), st.lists(st.integers(0, 1), max_size=9))
@BOUNDED
def test_the_shared_beginning_is_the_longest(one: list[int], other: list[int]) -> None:
    length = shared_length(one, other)
    assert one[:length] == other[:length]
    assert one[length : length + 1] != other[length : length + 1] or length in {
        len(one),
        len(other),
    }


def test_choices_leave_half_of_the_rows_to_others_who_wait() -> None:
    driven = Driven(rows=8)
    reader = driven.reader()
    reader.send(*choices("s", 20, LONG, max_tokens=30))
    reader.send(*(submit(f"{number}", max_tokens=30) for number in range(6)))
    driven.step(2)
    seated = [reply.submit.session for reply in driven.backend._rows]
    assert seated.count("s") == 4
    assert {"0", "1", "2", "3"} <= set(seated)
    driven.finish()
    judge(reader, 20, max_tokens=30)


def test_choices_take_every_row_while_nobody_else_waits() -> None:
    driven = Driven(rows=8)
    reader = driven.reader()
    reader.send(*choices("s", 20, LONG))
    driven.step()
    assert (driven.seated, driven.waiting) == (8, 12)


@pytest.mark.parametrize(("count", "accepted"), [(5, 5), (6, 0)])
def test_all_choices_are_accepted_or_none(count: int, accepted: int) -> None:
    driven = Driven(rows=4, waiting=2)
    reader = driven.reader()
    reader.send(submit("first", max_tokens=50))
    driven.step()
    reader.send(*choices("s", count, LONG))
    driven.step()
    assert len(reader.accepted) == 1 + accepted
    assert len(reader.rejected) == count - accepted
    assert all(each.reason == "overloaded" for each in reader.rejected.values())
