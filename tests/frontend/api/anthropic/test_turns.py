"""Turns and their blocks as the messages of a chat; wrong orders are refused by name.

Covers `anthropic/chat_body`, `chat_prompt`.
"""

import time
from typing import Any

import msgspec
import pytest

from rowcast.errors import InvalidField
from rowcast.frontend.api.anthropic.body import MessageBody
from rowcast.frontend.api.anthropic.chat_body import chat_body, named_as_sent
from rowcast.frontend.api.bodies.types import (
    AssistantMessage,
    FunctionCall,
    Message,
    SystemMessage,
    ToolCall,
    ToolMessage,
    UserMessage,
)

from ...serving import Served
from .sending import HELLO, refused, send

CALL = {"type": "tool_use", "id": "toolu_1", "name": "f", "input": {"x": [1, None]}}
RESULT = {"type": "tool_result", "tool_use_id": "toolu_1", "content": "done"}
USE: dict[str, Any] = {"role": "assistant", "content": [CALL]}


def user(*content: Any) -> dict[str, Any]:
    return {"role": "user", "content": list(content)}


def text(text: str) -> dict[str, Any]:
    return {"type": "text", "text": text}


def body(*messages: Any, **more: Any) -> MessageBody:
    sent = {"model": "m", "max_tokens": 9, "messages": list(messages)} | more
    return msgspec.convert(sent, MessageBody)


def converted(*messages: Any, **more: Any) -> list[Message]:
    return chat_body(body(*messages, **more)).messages


def test_text_is_one_message_per_turn() -> None:
    assert converted(user(text("a"), text("b"))) == [UserMessage("a\nb")]
    turns = [{"role": "user", "content": "a"}, {"role": "user", "content": "b"}]
    assert converted(*turns) == [UserMessage("a\nb")]
    assert converted(*turns, {"role": "assistant", "content": "c"})[1] == AssistantMessage("c")


def test_system_is_the_first_message_or_one_in_the_middle() -> None:
    assert converted(*HELLO, system="Be brief.")[0] == SystemMessage("Be brief.")
    assert converted(*HELLO, system=[text("Be"), text("brief.")])[0] == SystemMessage("Be\nbrief.")
    assert converted(*HELLO, system="") == [UserMessage("Hello")]
    middle = converted(*HELLO, {"role": "system", "content": "Now in French."})
    assert middle == [UserMessage("Hello"), SystemMessage("Now in French.")]


def test_calls_and_results_are_those_of_a_chat() -> None:
    thought = {"type": "thinking", "thinking": "Hm.", "signature": "any"}
    hidden = {"type": "redacted_thinking", "data": "zzz"}
    use = {"role": "assistant", "content": [thought, hidden, text("I call."), CALL]}
    assert converted(*HELLO, use, user(RESULT, text("Go on."))) == [
        UserMessage("Hello"),
        AssistantMessage(
            "I call.",
            tool_calls=[ToolCall("toolu_1", FunctionCall("f", '{"x":[1,null]}'))],
            reasoning_content="Hm.",
        ),
        ToolMessage("done", "toolu_1"),
        UserMessage("Go on."),
    ]


@pytest.mark.parametrize(
    ("result", "shown"),
    [
        ({"content": [text("a"), text("b")]}, "a\nb"),
        ({"content": None}, ""),
        ({"is_error": True}, "Error: done"),
        ({"is_error": False, "cache_control": {"type": "ephemeral"}}, "done"),
    ],
)
def test_results_are_text(result: dict[str, Any], shown: str) -> None:
    assert converted(*HELLO, USE, user(RESULT | result))[-1] == ToolMessage(shown, "toolu_1")


def test_the_last_message_of_the_model_is_continued(served: Served) -> None:
    begun = [*HELLO, {"role": "assistant", "content": "Well"}]
    assert chat_body(body(*begun)).continue_final_message
    assert send(served, messages=begun)["usage"]["input_tokens"] == len(
        "user: Hello\nassistant: Well"
    )


IMAGE = {"type": "image", "source": {"type": "base64", "media_type": "image/png", "data": ""}}
DOCUMENT = {"type": "document", "source": {"type": "text", "data": "a"}}


@pytest.mark.parametrize(
    ("messages", "problem"),
    [
        ([user(RESULT)], "messages[0].content[0].tool_use_id is 'toolu_1', but the assistant's"),
        ([*HELLO, USE], "messages[1].content[0] is the tool_use 'toolu_1' without a result"),
        ([*HELLO, USE, *HELLO], "messages[1].content[0] is the tool_use 'toolu_1' without"),
        ([*HELLO, USE, user(text("a"), RESULT)], "messages[2].content[1] is a tool_result after"),
        ([*HELLO, USE, user(RESULT, RESULT)], "messages[2].content[1].tool_use_id is 'toolu_1'"),
        ([*HELLO, USE, USE, user(RESULT)], "messages[2].content[0].id is 'toolu_1', as is an"),
        ([user(text("a"), IMAGE)], "messages[0].content[1] is an image; send text"),
        ([user(DOCUMENT)], "messages[0].content[0] is a document; send its text"),
        (
            [*HELLO, USE, user(RESULT | {"content": [IMAGE]})],
            "messages[2].content[0].content[0] is an image",
        ),
    ],
)
def test_wrong_orders_and_blocks_are_named(
    served: Served, messages: list[Any], problem: str
) -> None:
    assert refused(served, messages=messages).startswith(problem)


@pytest.mark.parametrize(
    ("fields", "problem"),
    [
        ({"tools": [{"name": "a"}]}, "tools[0].input_schema is missing"),
        ({"tools": [{"name": "a b", "input_schema": {}}]}, "tools[0].name is invalid"),
        (
            {"tools": [{"type": "web_search_20250305", "name": "web_search"}]},
            "tools[0] is invalid: 'web_search_20250305' is a tool that this server does not know",
        ),
        ({"tools": [{"name": "a", "input_schema": {}}] * 2}, "tools[1].name is 'a', as is an"),
        ({"tool_choice": {"type": "any"}}, "tool_choice is only allowed when tools are sent"),
        (
            {
                "tools": [{"name": "a", "input_schema": {}}],
                "tool_choice": {"type": "tool", "name": "b"},
            },
            "tool_choice.name does not name one of the tools",
        ),
        (
            {
                "tools": [{"name": "a", "input_schema": {"type": "what"}}],
                "tool_choice": {"type": "any"},
            },
            "tools cannot be followed",
        ),
    ],
)
def test_wrong_tools_are_named(served: Served, fields: dict[str, Any], problem: str) -> None:
    assert refused(served, **fields).startswith(problem)


def test_other_errors_keep_their_field() -> None:
    with pytest.raises(InvalidField, match="messages is wrong"), named_as_sent():
        raise InvalidField("messages", "is wrong")


def test_many_blocks_let_other_requests_run(monkeypatch: pytest.MonkeyPatch) -> None:
    rests: list[float] = []
    monkeypatch.setattr(time, "sleep", rests.append)
    sent = body(*(user(*[text("a")] * 20) for _ in range(2000)))
    assert len(chat_body(sent).messages[0].content or "") == 2 * 40_000 - 1
    assert rests
