"""The wire format: every message survives the round trip, and nothing else is accepted.

Covers `wire`.
"""

from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from rowcast.sampling_params import SamplingParams
from rowcast.wire import (
    Accepted,
    Cancel,
    Command,
    Embed,
    Embedded,
    Event,
    Finished,
    FinishReason,
    Phase,
    Pooling,
    Rejected,
    RejectReason,
    RowState,
    RowStates,
    Status,
    Submit,
    TeamRoom,
    Tokens,
    WatchRows,
    decode_commands,
    decode_events,
    each_event,
    encode,
)

SEEDS = st.integers(0, 2**63 - 1)
IDS = st.lists(st.integers(0, 2**32 - 1), max_size=20).map(tuple)
PLACES = {"session": st.text(max_size=40), "choice": st.integers(0, 127)}
NUMBERS = st.floats(allow_nan=False)

PARAMS = st.builds(
    SamplingParams,
    max_tokens=st.integers(1, 2**31),
    temperature=NUMBERS,
    top_k=st.integers(-1, 2**31),
    top_p=NUMBERS,
    min_tokens=st.integers(0, 2**31),
    ignore_eos=st.booleans(),
    stop_token_ids=IDS,
    logprobs=st.booleans(),
)
SUBMITTED: dict[str, st.SearchStrategy[Any]] = {
    **PLACES,
    "prompt": IDS,
    "params": PARAMS,
    "seed": SEEDS,
    "team": st.text(max_size=20),
    "delivered": st.none() | IDS,
    "stream": st.text(max_size=40),
}
COMMANDS = st.one_of(
    st.builds(Submit, **SUBMITTED),
    st.builds(Embed, **SUBMITTED, pooling=st.sampled_from(get_args(Pooling))),
    st.builds(Cancel, **PLACES),
    st.builds(WatchRows),
)
TEAM_ROOMS = st.builds(
    TeamRoom,
    team=st.text(max_size=20),
    room=st.integers(0, 2**31),
    waiting=st.integers(0, 2**31),
    retry_after=st.integers(1, 60),
)
ROW = st.builds(
    RowState,
    row=st.integers(0, 31),
    team=st.text(max_size=20),
    stream=st.text(max_size=40),
    phase=st.sampled_from(get_args(Phase)),
    prompt_tokens=st.integers(0, 2**31),
    reply_tokens=st.integers(0, 2**31),
)
EVENTS = st.one_of(
    st.builds(
        RowStates,
        rows=st.lists(ROW, max_size=3).map(tuple),
        waiting=st.lists(st.tuples(st.text(max_size=20), st.integers(0, 99))).map(tuple),
        tokens_per_second=NUMBERS,
    ),
    st.builds(Accepted, **PLACES),
    st.builds(
        Rejected,
        **PLACES,
        reason=st.sampled_from(get_args(RejectReason)),
        message=st.text(max_size=40),
        retry_after=st.integers(0, 60),
    ),
    st.builds(
        Tokens,
        **PLACES,
        index=st.integers(0, 2**31),
        tokens=IDS,
        logprobs=st.none() | st.lists(NUMBERS, max_size=5).map(tuple),
    ),
    st.builds(Embedded, **PLACES, vector=st.binary(max_size=64)),
    st.builds(
        Finished,
        **PLACES,
        length=st.integers(0, 2**31),
        reason=st.sampled_from(get_args(FinishReason)),
        message=st.text(max_size=40),
    ),
    st.builds(
        Status,
        model=st.text(max_size=20),
        fingerprint=st.text(max_size=20),
        context_length=st.integers(1, 2**31),
        rows=st.integers(1, 1024),
        seated=st.integers(0, 1024),
        waiting=st.integers(0, 2**31),
        steps=st.integers(0, 2**62),
        stopping=st.booleans(),
        room=st.integers(0, 2**31),
        team_rooms=st.lists(TEAM_ROOMS, max_size=3).map(tuple),
    ),
)


@pytest.mark.slow
@given(st.lists(COMMANDS, max_size=4))
@settings(deadline=None, derandomize=True, max_examples=100)
def test_every_batch_of_commands_arrives_as_it_left(batch: list[Command]) -> None:
    assert decode_commands(encode(batch)) == batch


@pytest.mark.slow
@given(st.lists(EVENTS, max_size=4))
@settings(deadline=None, derandomize=True, max_examples=100)
def test_every_batch_of_events_arrives_as_it_left(batch: list[Event]) -> None:
    assert decode_events(encode(batch)) == batch
    assert list(each_event(encode(batch))) == batch


def packed(*values: Any) -> bytes:
    return msgspec.msgpack.encode([list(values)])


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(packed("seat", "s", 0), id="unknown tag"),
        pytest.param(encode([Accepted("s", 0)]), id="an event"),
        pytest.param(packed("cancel", "s"), id="too few values"),
        pytest.param(packed("cancel", "s", "0"), id="wrong type"),
        pytest.param(packed("submit", "s", 0, [1, 2.5], {"max_tokens": 1}, 0), id="wrong token"),
        pytest.param(packed("submit", "s", 0, [1], {}, 0), id="parameters without a limit"),
        pytest.param(msgspec.msgpack.encode({"cancel": 1}), id="no batch"),
        pytest.param(b"", id="nothing"),
        pytest.param(b"\xc1 garbage", id="no msgpack"),
        pytest.param(encode([Cancel("s", 0)])[:-1], id="half a batch"),
        pytest.param(encode([Cancel("s", 0)]) + b"\x00", id="more than a batch"),
    ],
)
def test_a_frame_that_holds_no_commands_is_refused(frame: bytes) -> None:
    with pytest.raises(msgspec.DecodeError):
        decode_commands(frame)


@pytest.mark.parametrize(
    "frame",
    [
        pytest.param(encode([Cancel("s", 0)]), id="a command"),
        pytest.param(packed("finished", "s", 0, 1, "weary"), id="unknown reason"),
        pytest.param(packed("rejected", "s", 0, "dislike", ""), id="unknown rejection"),
        pytest.param(packed("tokens", "s", 0, 0, "abc"), id="text for tokens"),
    ],
)
def test_a_frame_that_holds_no_events_is_refused(frame: bytes) -> None:
    for decode in (decode_events, each_event):
        with pytest.raises(msgspec.DecodeError):
            list(decode(frame))


def test_a_reply_is_named_by_session_and_choice() -> None:
    assert Tokens("abc", 3, 0, ()).key == Cancel("abc", 3).key == ("abc", 3)


def test_messages_cannot_be_changed() -> None:
    with pytest.raises(AttributeError):
        setattr(Cancel("s", 0), "choice", 1)  # noqa: B010  # mypy knows that it is frozen


def test_a_token_costs_few_bytes() -> None:
    # A step of 32 rows must stay small; field names on the wire would triple it.
    batch = [Tokens(f"{row:032x}", 0, 1000, (3000,)) for row in range(32)]
    assert len(encode(batch)) < 32 * 60


def test_choices_of_one_prompt_carry_it_once() -> None:
    prompt, params = tuple(range(4000)), SamplingParams(max_tokens=9)
    other = Submit("b", 0, (1, 2), params, seed=1)
    choices = [Submit("a", choice, prompt, params, seed=1, choices=64) for choice in range(64)]
    batch: list[Command] = [Cancel("c", 0), *choices[:40], other, *choices[40:], other]
    frame = encode(batch)
    assert len(frame) < 2 * len(encode(choices[:1])) + 64 * 60
    arrived = decode_commands(frame)
    assert arrived == batch
    first, second = (each for each in arrived[1:3] if isinstance(each, Submit))
    assert first.prompt is second.prompt


def test_a_prompt_that_repeats_nothing_is_empty() -> None:
    (alone,) = decode_commands(
        packed("submit", "s", 0, [5], {"max_tokens": 1}, 0, "", None, 1, 0, True)
    )
    assert isinstance(alone, Submit)
    assert (alone.prompt, alone.repeats) == ((), False)
