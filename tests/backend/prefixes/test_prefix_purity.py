"""A reply is the one that its prompt has alone, however the beginning was obtained.

Random prompts with common beginnings, under several keys, cancelled, resumed and disturbed by
strangers, in few rows and with any store: the scripted model's cache is the CRC of all tokens, so
one token of another prompt would change every reply.
"""

from dataclasses import dataclass
from functools import cache, partial

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st

from backend.driven import Driven, RecordedEngine, choices
from rowcast.backend.policies import Policies
from rowcast.backend.prefixes.prefix_placement import prefix_placement
from rowcast.wire import Submit

BOUNDED = settings(
    deadline=None,
    derandomize=True,
    max_examples=60,
    phases=[Phase.generate],  # to shrink is slow
)
KEYS = ("", "a", "b")
TREE = (bytes(range(65, 91)) * 20, bytes(range(65, 91)) * 3 + bytes(range(97, 123)) * 15)
TOKENS = 6
GRAMMAR = 4  # its masks may be late, and then a token is fed again
PARAMS: tuple[dict[str, object], ...] = (
    {},
    {"logprobs": True, "top_logprobs": 2},
    {"ignore_eos": False, "min_tokens": 4, "stop_token_ids": (300, 301, 302)},
    {"repetition_penalty": 1.3, "frequency_penalty": 0.5},
    {"grammar": "%llguidance {}\nstart: /[a-d]{3}[0-9]+/"},
    {"prompt_logprobs": True},
    {"beams": 2},
)


@dataclass(frozen=True)
class Asked:
    """A prompt, and how it comes and goes."""

    step: int
    begin: tuple[int, int]  # of which sequence, and how many of its tokens
    tail: int
    key: str
    params: int
    seed: int
    count: int
    cancelled: int  # steps after it was sent; 0: never

    def submits(self, name: str, key: str | None = None) -> list[Submit]:
        which, length = self.begin
        prompt = TREE[which][:length] + bytes([self.tail] * (self.tail % 7 + 1))
        params = PARAMS[self.params]
        return choices(
            name,
            2 if "beams" in params else self.count,
            prompt,
            key=self.key if key is None else key,
            max_tokens=TOKENS,
            seed=self.seed,
            **params,
        )


ASKED = st.builds(
    Asked,
    step=st.integers(0, 30),
    begin=st.tuples(st.integers(0, 1), st.integers(60, 400)),
    tail=st.integers(1, 60),
    key=st.sampled_from(KEYS),
    params=st.sampled_from([0, 0, 0, *range(len(PARAMS))]),
    seed=st.integers(0, 3),
    count=st.sampled_from([1, 1, 1, 3]),
    cancelled=st.sampled_from([0, 0, 0, 1, 3]),
)


@cache
def alone(asked: Asked) -> dict[str, tuple[tuple[int, ...], tuple[float, ...], str | None]]:
    """Return the tokens, log-probabilities and end of each choice, computed by itself."""
    driven = Driven()
    reader = driven.reader()
    reader.send(*asked.submits("s", key=""))
    driven.finish()
    return {
        name: (tuple(reader.tokens[name]), tuple(reader.logprobs[name]), reader.reason(name))
        for name in reader.accepted
    }


@pytest.mark.slow
@given(
    st.lists(ASKED, min_size=2, max_size=14),
    st.integers(2, 6),
    st.sampled_from([9, 40, 256]),
    st.sampled_from([0, 3000, 6000, 1 << 20]),
    st.sampled_from([None, 900, 1500]),
)
@BOUNDED
def test_replies_are_what_they_are_alone(
    all_asked: list[Asked], rows: int, width: int, limit: int, cache_tokens: int | None
) -> None:
    placement = partial(prefix_placement, limit=limit)
    engine = RecordedEngine(rows=rows, width=width, cache_tokens=cache_tokens)
    driven = Driven(engine=engine, policies=Policies(placement=placement))
    reader = driven.reader()
    for step in range(40):
        for number, asked in enumerate(all_asked):
            name = f"{number}"
            if asked.step == step:
                reader.send(*asked.submits(name))
            elif asked.cancelled and asked.step + asked.cancelled == step:
                reader.cancel(name)
        if not driven.backend.idle or any(asked.step == step for asked in all_asked):
            driven.step()
    if not driven.backend.idle:
        driven.finish()
    for number, asked in enumerate(all_asked):
        for name, (tokens, logprobs, reason) in alone(asked).items():
            own = name.replace("s", f"{number}")
            got = tuple(reader.tokens[own])
            if reader.reason(own) == "cancelled":
                assert got == tokens[: len(got)] or "beams" in PARAMS[asked.params]
            else:
                assert (got, tuple(reader.logprobs[own]), reader.reason(own)) == (
                    tokens,
                    logprobs,
                    reason,
                )
    prefixes = driven.backend.status().prefixes
    assert prefixes.bytes <= limit
    assert prefixes.found <= prefixes.looked_up
    assert prefixes.found == sum(reader.cached.values())


@pytest.mark.slow
@given(st.lists(ASKED, min_size=2, max_size=10), st.integers(2, 6))
@BOUNDED
def test_prompts_of_different_keys_compute_what_they_compute_alone(
    all_asked: list[Asked], rows: int
) -> None:
    placement = partial(prefix_placement, limit=1 << 20)
    with_keys = Driven(rows=rows, policies=Policies(placement=placement))
    without = Driven(rows=rows)
    for driven, key in ((with_keys, "key {}"), (without, "")):
        reader = driven.reader()
        for number, asked in enumerate(all_asked):
            reader.send(*asked.submits(f"{number}", key=key.format(number)))
            driven.finish()
        assert not any(reader.cached.values())
    steady = all(asked.params != GRAMMAR and asked.count <= rows for asked in all_asked)
    if steady:  # a choice that waits for a row may begin with what its sibling left
        assert with_keys.engine.computed == without.engine.computed
