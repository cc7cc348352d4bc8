"""Blocks of tools and reasoning, and streams that are resumed from any event."""

from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from rowcast.frontend.api.anthropic.blocks import INVALID, BlockWriter, call_id, joined
from rowcast.frontend.api.anthropic.types import TextContent, ThinkingContent, ToolUseContent
from rowcast.frontend.api.anthropic.view import merged
from rowcast.text.chat.parts import CallArguments, CallStart, Part, ReasoningPart, TextPart
from rowcast.text.chat.template import ChatTemplate

from ...serving import Served, serving
from ..openai.saying import SayingEngine
from ..openai.thinking import ITSELF
from .sending import BODY, MESSAGES, accumulated, events, send, split, without_ids

TOOLS = [
    {
        "name": "weather",
        "description": "The weather.",
        "input_schema": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
    {"name": "time", "input_schema": {"type": "object"}, "type": "custom"},
]
CALLS = (
    "<think>It asks for two.</think>I look.\n"
    '<tool_call>{"name": "weather", "arguments": {"city": "Köln"}}</tool_call>\n'
    '<tool_call>{"name": "time", "arguments": {}}</tool_call>'
)


@pytest.fixture(scope="module")
def talker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Served, SayingEngine]]:
    """A server whose replies the test sets, and which keeps its streams."""
    engine, journal = SayingEngine(""), tmp_path_factory.mktemp("kept") / "journal.db"
    with serving(engine=engine, chat=ChatTemplate(ITSELF), journal=journal) as served:
        yield served, engine


Talker = tuple[Served, SayingEngine]


def called(talker: Talker, text: str, **asked: Any) -> dict[str, Any]:
    """Return the message of a reply with this text; check that its stream makes the same."""
    served, engine = talker
    engine.says(text)
    asked = {"max_tokens": 500, "tools": TOOLS} | asked
    message = send(served, **asked)
    if not any(INVALID in block.get("input", {}) for block in message["content"]):
        assert without_ids(accumulated(events(served, **asked))) == without_ids(message)
    return message


def test_reasoning_text_and_calls_are_blocks(talker: Talker) -> None:
    message = called(talker, CALLS)
    thought, text, weather, time = message["content"]
    assert (thought["type"], thought["thinking"]) == ("thinking", "It asks for two.")
    assert text == {"type": "text", "text": "I look.\n"}
    assert (weather["name"], weather["input"]) == ("weather", {"city": "Köln"})
    assert (time["name"], time["input"]) == ("time", {})
    assert weather["id"].startswith("toolu_")
    assert weather["id"] != time["id"]
    assert message["stop_reason"] == "tool_use"


def test_arguments_arrive_as_they_are_written(talker: Talker) -> None:
    served, engine = talker
    engine.says(CALLS)
    found = events(served, max_tokens=500, tools=TOOLS)
    parts = [
        event["delta"]["partial_json"]
        for event in found
        if event["type"] == "content_block_delta" and event["index"] == 2
    ]
    assert len(parts) > 10
    assert "".join(parts) == '{"city": "Köln"}'


def test_one_call_is_enough_without_parallel_use(talker: Talker) -> None:
    choice = {"type": "auto", "disable_parallel_tool_use": True}
    message = called(talker, CALLS, tool_choice=choice)
    assert [block["type"] for block in message["content"]] == ["thinking", "text", "tool_use"]


@pytest.mark.parametrize("choice", [{"type": "any"}, {"type": "tool", "name": "time"}])
def test_a_call_may_be_required(talker: Talker, choice: dict[str, Any]) -> None:
    text = '<tool_call>{"name": "time", "arguments": {}}</tool_call>'
    message = called(talker, text, tool_choice=choice, thinking={"type": "disabled"})
    (call,) = message["content"]
    assert (call["name"], call["input"]) == ("time", {})


def test_no_choice_shows_no_tools(talker: Talker) -> None:
    message = called(talker, CALLS, tool_choice={"type": "none"}, thinking={"type": "disabled"})
    assert [block["type"] for block in message["content"]] == ["text"]
    assert message["stop_reason"] == "end_turn"


def test_a_call_that_is_cut_reports_it_and_keeps_its_text(talker: Talker) -> None:
    message = called(talker, CALLS, max_tokens=len(CALLS[: CALLS.index("ln")].encode()))
    assert message["stop_reason"] == "max_tokens"
    assert message["content"][-1]["input"] == {INVALID: '{"city": "Kö'}


@pytest.mark.slow
def test_a_stream_is_resumed_from_every_event(talker: Talker) -> None:
    served, engine = talker
    engine.says(CALLS)
    response = served.post(MESSAGES, **BODY | {"max_tokens": 500, "tools": TOOLS, "stream": True})
    stream, all_of = response.headers["X-Stream-ID"], split(response.text)
    for at, (place, _) in enumerate(all_of):
        again = served.client.get(
            f"/v1/streams/{stream}", headers={"Last-Event-ID": place}, buffered=True
        )
        assert again.status_code == 200, again.text
        assert split(again.text) == all_of[at + 1 :]


def test_the_same_key_gets_the_same_message(talker: Talker) -> None:
    served, engine = talker
    engine.says(CALLS)
    headers = {"Idempotency-Key": "one-message"}
    body = {name: value for name, value in BODY.items() if name != "seed"}
    first, second = (
        served.client.post(MESSAGES, json=body, headers=headers, buffered=True).get_json()
        for _ in range(2)
    )
    assert first == second


PARTS: list[Part] = [
    ReasoningPart("a"),
    ReasoningPart("b"),
    TextPart("c"),
    TextPart("d"),
    CallStart(0, "f"),
    CallArguments(0, '{"x":'),
    CallArguments(0, " 1}"),
    CallStart(1, "g"),
    CallArguments(1, "{x}"),
    TextPart("e"),
]


def test_blocks_do_not_depend_on_where_parts_are_cut() -> None:
    made = []
    for parts in (PARTS, list(merged(PARTS))):
        writer = BlockWriter("s")
        found = [event for part in parts for event in writer.write(part)]
        made.append(joined([*found, *writer.finish()]))
    assert made[0] == made[1]
    thought, text, call, broken, last = made[0]
    assert isinstance(thought, ThinkingContent)
    assert thought.thinking == "ab"
    assert text == TextContent("cd")
    assert isinstance(call, ToolUseContent)
    assert msgspec.json.decode(msgspec.json.encode(call.input)) == {"x": 1}
    assert call.id == call_id("s", 0)
    assert isinstance(broken, ToolUseContent)
    assert broken.input == {INVALID: "{x}"}
    assert last == TextContent("e")
