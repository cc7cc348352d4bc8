"""Events of which only a part is encoded: the bytes of the whole, whatever is in it."""

from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from msgspec import UNSET, UnsetType

from rowcast.frontend.api.constant_parts import GAP, ConstantParts
from rowcast.frontend.api.openai.response.types import (
    ChatChunk,
    ChatLogprobs,
    Completion,
    CompletionChoice,
    CompletionLogprobs,
    Delta,
    DeltaChoice,
    FunctionDelta,
    TokenLogprob,
    ToolDelta,
    TopLogprob,
)

from ..serving import Served
from .openai.asking import CHAT, COMPLETIONS, HELLO

NASTY = [
    "\0",
    '"',
    "\\",
    "\r\n",
    "\x1f",
    "\x7f",
    "\u2028",
    "é",
    "😀",
    "\ufffd",
    '"\\u0000"',
    "%b",
    "",
]
TEXTS = st.text(max_size=20) | st.sampled_from(NASTY)
USAGES = st.sampled_from([UNSET, None])
SCORES = st.builds(
    TokenLogprob,
    TEXTS,
    st.floats(-100, 0),
    st.lists(st.integers(0, 255), max_size=4),
    st.lists(st.builds(TopLogprob, TEXTS, st.floats(-100, 0), st.none()), max_size=2),
)
CALLS = st.builds(
    ToolDelta,
    st.integers(0, 9),
    st.builds(FunctionDelta, TEXTS | st.just(UNSET), TEXTS | st.just(UNSET)),
    TEXTS | st.just(UNSET),
    st.sampled_from(["function", UNSET]),
)
DELTAS = st.builds(
    Delta,
    st.sampled_from(["assistant", UNSET]),
    TEXTS | st.sampled_from([None, UNSET]),
    st.lists(CALLS, max_size=2) | st.just(UNSET),
    TEXTS | st.just(UNSET),
    TEXTS | st.just(UNSET),
)
CHOICES = st.builds(
    DeltaChoice,
    st.integers(0, 1023),
    DELTAS,
    st.none() | st.builds(ChatLogprobs, st.none() | st.lists(SCORES, max_size=2)),
    st.sampled_from([None, "stop", "length", "tool_calls"]),
)

_encode = msgspec.json.Encoder().encode


def chunk(stream: str, model: str, usage: UnsetType | None, choices: Any) -> ChatChunk:
    return ChatChunk(
        id=stream,
        created=1_700_000_000,
        model=model,
        choices=choices,
        usage=usage,
        system_fingerprint=model,
        seed=2**64 - 1,
    )


def completion(stream: str, model: str, usage: UnsetType | None, choice: Any) -> Completion:
    return Completion(
        id=stream,
        created=1_700_000_000,
        model=model,
        choices=[choice],
        usage=usage,
        system_fingerprint=model,
        seed=7,
    )


@pytest.mark.slow
@given(TEXTS, TEXTS, USAGES, st.lists(CHOICES, max_size=2))
@settings(deadline=None, derandomize=True, max_examples=300)
def test_choices_of_a_chat_are_encoded_as_in_the_whole(
    stream: str, model: str, usage: UnsetType | None, choices: list[DeltaChoice]
) -> None:
    parts = ConstantParts(chunk(stream, model, usage, GAP))
    assert parts.around(choices) == _encode(chunk(stream, model, usage, choices))


@given(TEXTS, TEXTS, USAGES, st.integers(0, 1023), st.lists(TEXTS, max_size=3))
@settings(deadline=None, derandomize=True, max_examples=100)
def test_texts_of_a_chat_are_encoded_as_in_the_whole(
    stream: str, model: str, usage: UnsetType | None, reply: int, texts: list[str]
) -> None:
    parts = ConstantParts(chunk(stream, model, usage, [DeltaChoice(reply, Delta(content=GAP))]))
    for text in texts:
        whole = chunk(stream, model, usage, [DeltaChoice(reply, Delta(content=text))])
        assert parts.around(text) == _encode(whole)


@given(TEXTS, TEXTS, USAGES, st.integers(0, 1023), st.lists(TEXTS, max_size=3))
@settings(deadline=None, derandomize=True, max_examples=100)
def test_texts_of_a_completion_are_encoded_as_in_the_whole(
    stream: str, model: str, usage: UnsetType | None, reply: int, texts: list[str]
) -> None:
    parts = ConstantParts(completion(stream, model, usage, CompletionChoice(reply, GAP)))
    for text in texts:
        whole = completion(stream, model, usage, CompletionChoice(reply, text))
        assert parts.around(text) == _encode(whole)


def test_an_object_needs_exactly_one_gap() -> None:
    with pytest.raises(ValueError):
        ConstantParts(CompletionLogprobs([], [], None, []))
    with pytest.raises(ValueError):
        ConstantParts(CompletionLogprobs(GAP, GAP, None, []))


@pytest.mark.parametrize(
    "options",
    [
        {},
        {"n": 3},
        {"stream_options": {"include_usage": True}},
        {"stream_options": {"include_usage": True, "continuous_usage_stats": True}},
    ],
)
@pytest.mark.parametrize("scored", [False, True])
def test_each_event_of_a_stream_has_the_fields_of_its_structure(
    served: Served, options: dict[str, Any], scored: bool
) -> None:
    """In their order, and with nothing that another encoding would write in another form."""
    body = {"model": "scripted", "stream": True, "max_tokens": 40, "seed": 5} | options
    chat = body | {"messages": HELLO} | ({"logprobs": True, "top_logprobs": 2} if scored else {})
    text = body | {"prompt": "Hello", "echo": True} | ({"logprobs": 2} if scored else {})
    for path, sent, kind in ((CHAT, chat, ChatChunk), (COMPLETIONS, text, Completion)):
        stream = served.post(path, **sent).data
        found = [line[6:] for line in stream.split(b"\n") if line.startswith(b"data: {")]
        assert len(found) > 2
        for data in found:
            event = msgspec.json.decode(data)
            assert _encode(event) == data
            fields = [each for each in kind.__struct_fields__ if each in event]
            assert list(event) == fields
            assert set(kind.__struct_fields__) - set(fields) <= {"usage", "receipt"}
            assert ("usage" in event) == ("stream_options" in options)
