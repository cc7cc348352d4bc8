"""Whatever happens around a reply, it ends once, and its tokens are a function of its prompt."""

from dataclasses import dataclass

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from engine.rule import reply as expected
from rowcast.wire import Submit

from .driven import Driven, Reader, submit

BOUNDED = settings(deadline=None, derandomize=True, max_examples=60)


@dataclass(frozen=True)
class Act:
    """An action of a frontend between two steps."""

    frontend: int
    what: str  # submit, cancel or die
    which: int


ACTS = st.builds(
    Act,
    frontend=st.integers(0, 2),
    what=st.sampled_from(["submit"] * 6 + ["cancel"] * 3 + ["die"]),
    which=st.integers(0, 15),
)
SCHEDULES = st.lists(st.lists(ACTS, max_size=5), min_size=1, max_size=12)


def prompt(number: int) -> Submit:
    """Return prompt `number`: short and long ones, short and long replies, all different."""
    length = (1, 3, 40, 90)[number % 4]
    text = bytes((number * 7 + at) % 256 for at in range(length))
    return submit(f"{number}", text, max_tokens=1 + number * 3 % 11, seed=number, ignore_eos=False)


def answer(wanted: Submit) -> tuple[tuple[int, ...], str]:
    return expected(wanted.prompt, wanted.seed, wanted.params.max_tokens)


class Crowd:
    """Three frontends that reconnect after they died."""

    def __init__(self, driven: Driven) -> None:
        self._driven = driven
        self._names = [0, 0, 0]
        self.present = [driven.reader() for _ in range(3)]
        self.everyone: list[tuple[Reader, set[str]]] = [(r, set()) for r in self.present]
        self.dead: list[Reader] = []

    def perform(self, act: Act) -> None:
        reader = self.present[act.frontend]
        submitted = next(names for each, names in self.everyone if each is reader)
        if act.what == "die":
            reader.port.close()
            self._driven.readers.remove(reader)
            self.dead.append(reader)
            self.present[act.frontend] = self._driven.reader()
            self.everyone.append((self.present[act.frontend], set()))
        elif act.what == "cancel":
            reader.cancel(f"{act.which}")
        elif f"{act.which}" not in submitted:
            submitted.add(f"{act.which}")
            reader.send(prompt(act.which))


@pytest.mark.slow
@given(SCHEDULES)
@BOUNDED
def test_every_accepted_prompt_ends_exactly_once_and_truly(schedule: list[list[Act]]) -> None:
    driven = Driven(rows=3, width=8, waiting=4)
    crowd = Crowd(driven)
    for acts in schedule:
        for act in acts:
            crowd.perform(act)
        driven.step()
    driven.finish()
    assert (driven.seated, driven.waiting) == (0, 0)
    for reader, submitted in crowd.everyone:
        if reader not in crowd.dead:
            assert set(reader.ends) == reader.accepted
            assert reader.accepted | set(reader.rejected) == submitted
            judge(reader)


def judge(reader: Reader) -> None:
    """Check each reply against the rule, and its end against its tokens."""
    for session, end in reader.ends.items():
        tokens, reason = answer(prompt(int(session)))
        told = tuple(reader.tokens[session])
        assert end.length == len(told)
        assert told == tokens[: len(told)]
        if end.reason != "cancelled":
            assert (told, end.reason) == (tokens, reason)


@pytest.mark.slow
@given(
    st.permutations(range(32)), st.integers(0, 31), st.integers(32, 80), st.lists(st.integers(0, 3))
)
@BOUNDED
def test_a_reply_is_the_same_alone_and_among_31_others(
    order: list[int], mine: int, width: int, pauses: list[int]
) -> None:
    driven = Driven(width=width)
    reader = driven.reader()
    for place, number in enumerate(order):
        reader.send(prompt(number))
        driven.step(pauses[place] if place < len(pauses) else 0)
    driven.finish()
    alone = Driven()
    lonely = alone.reader()
    lonely.send(prompt(mine))
    alone.finish()
    assert reader.tokens[f"{mine}"] == lonely.tokens[f"{mine}"]
    judge(reader)


@given(st.integers(0, 15), st.lists(st.integers(1, 6), max_size=6), st.integers(4, 64))
@BOUNDED
def test_a_reply_survives_any_number_of_backends(number: int, lives: list[int], width: int) -> None:
    wanted = prompt(number)
    delivered: list[int] = []
    for life in [*lives, 10**4]:
        driven = Driven(rows=4, width=width)
        reader = driven.reader()
        reader.send(
            submit(
                wanted.session,
                wanted.prompt,
                max_tokens=wanted.params.max_tokens,
                seed=wanted.seed,
                ignore_eos=False,
                delivered=delivered,
            )
        )
        for _ in range(life):
            driven.step()
            if reader.ends:
                break
        delivered += reader.tokens[wanted.session]
        if reader.ends:
            assert (tuple(delivered), reader.reason(wanted.session)) == answer(wanted)
            return
    pytest.fail("no backend ended the reply")
