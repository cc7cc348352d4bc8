"""Deltas of a message, joined to fewer ones or to the whole message: nothing is lost or moved.

Covers `calls`.
"""

from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st
from msgspec import UNSET

from rowcast.frontend.api.openai.response.calls import joined, merged
from rowcast.frontend.api.openai.response.types import (
    CustomDelta,
    Delta,
    FunctionDelta,
    ToolDelta,
)

TEXTS = st.text("ab ", min_size=1, max_size=3)
PARTS = st.tuples(st.sampled_from(["reasoning", "content", "function", "custom"]), st.lists(TEXTS))


def deltas_of(parts: Iterable[tuple[str, list[str]]]) -> list[Delta]:
    """Return the deltas of a message that consists of these parts."""
    found: list[Delta] = []
    calls = 0
    for kind, texts in parts:
        if kind == "reasoning":
            found += [Delta(reasoning_content=text, reasoning=text) for text in texts]
        elif kind == "content":
            found += [Delta(content=text) for text in texts]
        else:
            found += _call(kind, calls, texts)
            calls += 1
    return found


def _call(kind: str, index: int, texts: list[str]) -> list[Delta]:
    if kind == "function":
        begin = ToolDelta(index, FunctionDelta("f", ""), f"call_{index}", "function")
        rest = [ToolDelta(index, FunctionDelta(arguments=text)) for text in texts]
    else:
        custom = CustomDelta(name="c", input="")
        begin = ToolDelta(index, id=f"call_{index}", type="custom", custom=custom)
        rest = [ToolDelta(index, custom=CustomDelta(input=text)) for text in texts]
    return [Delta(tool_calls=[each]) for each in (begin, *rest)]


@given(st.lists(PARTS, max_size=6))
def test_merged_deltas_make_the_same_message(parts: list[tuple[str, list[str]]]) -> None:
    deltas = deltas_of(parts)
    before = joined(deltas)
    few = list(merged(deltas))
    assert joined(few) == before == joined(deltas_of(parts))
    assert len(few) <= sum(bool(texts) + (kind in {"function", "custom"}) for kind, texts in parts)


def test_a_part_is_one_delta_and_parts_stay_in_order() -> None:
    parts = [
        ("reasoning", ["a", "b"]),
        ("content", ["c", "d"]),
        ("function", ["e", "f"]),
        ("custom", ["g", "h"]),
        ("content", ["i"]),
    ]
    few = list(merged(deltas_of(parts)))
    assert [each.reasoning or each.content or "call" for each in few] == [
        "ab",
        "cd",
        *["call"] * 4,
        "i",
    ]
    calls = [call for each in few for call in each.tool_calls or []]
    assert [(call.index, call.id) for call in calls] == [
        (0, "call_0"),
        (0, UNSET),
        (1, "call_1"),
        (1, UNSET),
    ]
    assert calls[1].function == FunctionDelta(arguments="ef")
    assert calls[3].custom == CustomDelta(input="gh")


def test_a_call_may_go_on_in_the_next_chunk() -> None:
    deltas = deltas_of([("function", ["a", "b", "c", "d"])])
    few = [*merged(deltas[:2]), *merged(deltas[2:])]
    assert len(few) == 3
    assert joined(few) == joined(deltas)
