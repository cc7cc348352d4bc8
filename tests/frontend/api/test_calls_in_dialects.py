"""Calls of every form, in Anthropic's Messages and OpenAI's Responses: whole and streamed."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from rowcast.text.chat.template import ChatTemplate

from ..serving import serving
from .anthropic import sending
from .openai.responses import requesting
from .openai.saying import SayingEngine
from .openai.test_forms import FORMS, PREAMBLE, ROME, THOUGHT, Speaker, channels
from .openai.test_tools import WEATHER

__all__ = ["channels"]

USED = json.loads(ROME)


@pytest.fixture(scope="module", params=FORMS)
def speaker(request: pytest.FixtureRequest) -> Iterator[Speaker]:
    """A server of each form."""
    form, engine = FORMS[request.param], SayingEngine("")
    with serving(engine=engine, chat=ChatTemplate(form.template)) as served:
        yield Speaker(served, engine, form)


def block_of(block: dict[str, Any]) -> tuple[str, Any]:
    """Return what a block of a message holds."""
    held = {"thinking": "thinking", "text": "text", "tool_use": "input"}[block["type"]]
    return block["type"], block[held]


def item_of(item: dict[str, Any]) -> tuple[str, Any]:
    """Return what an item of a response holds."""
    if item["type"] == "function_call":
        return "tool_use", json.loads(item["arguments"])
    (part,) = item["content"]
    return {"message": "text", "reasoning": "thinking"}[item["type"]], part["text"]


def test_each_dialect_has_the_same_parts(speaker: Speaker) -> None:
    wanted = [("text", "Let me see."), ("tool_use", USED)]
    _check(speaker, speaker.form.before + speaker.form.call, wanted)


@pytest.mark.parametrize("name", ["harmony", "harmony-role"])
def test_reasoning_comes_first_in_each_dialect(channels: Speaker, name: str) -> None:
    wanted = [("thinking", "Rome, I think."), ("text", "Let me see."), ("tool_use", USED)]
    _check(channels, THOUGHT + PREAMBLE + FORMS[name].call, wanted)


def _check(speaker: Speaker, said: str, wanted: list[tuple[str, Any]]) -> None:
    """Check that a reply has the wanted parts, in both dialects, whole and streamed."""
    speaker.engine.says(said)
    messages = {"tools": [{"name": "weather", "input_schema": WEATHER}], "max_tokens": 500}
    message = sending.send(speaker.served, **messages)
    assert [block_of(block) for block in message["content"]] == wanted
    assert message["stop_reason"] == "tool_use"
    streamed = sending.accumulated(sending.events(speaker.served, **messages))
    assert sending.without_ids(streamed) == sending.without_ids(message)
    responses = {"tools": [{"type": "function", "name": "weather", "parameters": WEATHER}]}
    response = requesting.respond(speaker.served, **responses)
    assert [item_of(item) for item in response["output"]] == wanted
    last = requesting.stream(speaker.served, **responses)[-1]
    assert [item_of(item) for item in last["response"]["output"]] == wanted


def test_a_call_and_its_result_come_back_in_each_dialect(speaker: Speaker) -> None:
    speaker.engine.says(speaker.form.call)
    tools = [{"name": "weather", "input_schema": WEATHER}]
    message = sending.send(speaker.served, tools=tools, max_tokens=500)
    (used,) = message["content"]
    result = {"type": "tool_result", "tool_use_id": used["id"], "content": "sunny"}
    turns = [
        *sending.HELLO,
        {"role": "assistant", "content": [used]},
        {"role": "user", "content": [result]},
    ]
    sending.send(speaker.served, tools=tools, messages=turns, max_tokens=1)
    functions = [{"type": "function", "name": "weather", "parameters": WEATHER}]
    response = requesting.respond(speaker.served, tools=functions)
    (called,) = response["output"]
    output = {"type": "function_call_output", "call_id": called["call_id"], "output": "sunny"}
    hello = {"role": "user", "content": "Hello"}
    requesting.respond(
        speaker.served, tools=functions, input=[hello, called, output], max_output_tokens=16
    )
