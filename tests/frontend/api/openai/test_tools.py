"""Tools in a chat: shown by the template, called by a rule, returned whole and streamed.

Covers `bodies/tools`, `response/calls`, `reply_reader`.
"""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from rowcast.text.chat.template import ChatTemplate

from ...serving import Served, serving
from .asking import CHAT, HELLO, chat, events, reasons, refusal

TAGGED = """\
{%- for tool in tools or [] %}{{ tool | tojson }} <tool_call>{% endfor %}
{%- for message in messages %}{{ message.role }}: {{ message.content or '' }}
{%- for call in message.tool_calls or [] %}{{ call.function | tojson }}{% endfor %}
{% endfor %}"""
BARE = TAGGED.replace("<tool_call>", "call")
WEATHER = {
    "type": "object",
    "properties": {"city": {"enum": ["Paris", "Rome"]}, "days": {"type": "integer"}},
    "required": ["city", "days"],
    "additionalProperties": False,
}
TOOLS = [
    {"type": "function", "function": {"name": "weather", "parameters": WEATHER}},
    {"type": "function", "function": {"name": "now"}},
]
NAMED = {"type": "function", "function": {"name": "weather"}}


@pytest.fixture(scope="module", params=[TAGGED, BARE], ids=["tagged", "bare"])
def caller(request: pytest.FixtureRequest) -> Iterator[Served]:
    """A server whose model's template supports tools."""
    with serving(chat=ChatTemplate(request.param)) as served:
        yield served


def call_of(served: Served, **asked: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """Return the choice and its one call."""
    (choice,) = chat(served, tools=TOOLS, max_tokens=1500, **asked)["choices"]
    (call,) = choice["message"]["tool_calls"]
    return choice, call


def test_a_named_tool_is_called(caller: Served) -> None:
    choice, call = call_of(caller, tool_choice=NAMED, seed=5)
    assert choice["finish_reason"] == "tool_calls"
    assert choice["message"]["content"] is None
    assert call["type"] == "function"
    assert call["id"].startswith("call_")
    assert call["function"]["name"] == "weather"
    arguments = json.loads(call["function"]["arguments"])
    assert arguments["city"] in {"Paris", "Rome"}
    assert type(arguments["days"]) is int


def test_streamed_arguments_join_to_the_same(caller: Served) -> None:
    _, call = call_of(caller, tool_choice=NAMED, seed=5)
    chunks = events(caller, CHAT, tools=TOOLS, tool_choice=NAMED, max_tokens=1500, seed=5)
    deltas = [
        delta
        for chunk in chunks
        for choice in chunk["choices"]
        for delta in choice["delta"].get("tool_calls", [])
    ]
    first, *rest = deltas
    assert first["id"].startswith("call_")
    assert first["function"] == {"name": "weather", "arguments": ""}
    assert all(set(delta) == {"index", "function"} for delta in rest)
    assert (
        "".join(delta["function"]["arguments"] for delta in deltas)
        == (call["function"]["arguments"])
    )
    assert reasons(chunks) == {0: "tool_calls"}


def test_a_tool_must_be_called_where_that_is_required(caller: Served) -> None:
    for seed in range(2):
        answer = chat(
            caller,
            tools=TOOLS[:1],
            tool_choice="required",
            parallel_tool_calls=False,
            max_tokens=1500,
            seed=seed,
        )
        (choice,) = answer["choices"]
        assert choice["message"]["tool_calls"][0]["function"]["name"] == "weather"


def test_without_a_must_the_model_may_just_speak(caller: Served) -> None:
    (choice,) = chat(caller, tools=TOOLS, max_tokens=9, seed=5)["choices"]
    assert choice["message"]["content"]
    assert "tool_calls" not in choice["message"]


def test_no_tool_is_shown_where_none_may_be_called(caller: Served) -> None:
    with_none = chat(caller, tools=TOOLS, tool_choice="none", max_tokens=1)["usage"]
    shown = chat(caller, tools=TOOLS, max_tokens=1)["usage"]
    plain = chat(caller, max_tokens=1)["usage"]
    assert plain["prompt_tokens"] == with_none["prompt_tokens"] < shown["prompt_tokens"]


def test_a_call_and_its_answer_can_be_sent_back(caller: Served) -> None:
    choice, call = call_of(caller, tool_choice=NAMED, seed=5)
    result = {"role": "tool", "tool_call_id": call["id"], "content": "sunny"}
    chat(caller, messages=[*HELLO, choice["message"], result], tools=TOOLS, max_tokens=1)


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"tool_choice": {"type": "function", "function": {"name": "no"}}}, "tool_choice.function"),
        ({"tool_choice": "must"}, "tool_choice"),
        ({"tools": [], "tool_choice": NAMED}, "tool_choice"),
        ({"tools": None, "tool_choice": "required"}, "tool_choice"),
        ({"tool_choice": "required", "guided_regex": "a"}, "tool_choice"),
        ({"tools": [{"type": "function", "function": {"name": "a b"}}]}, "tools[0].function.name"),
        ({"tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "x"}}}],
          "tool_choice": "required"}, "tools"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(caller: Served, asked: dict[str, Any], param: str) -> None:
    body = {"model": "scripted", "messages": HELLO, "tools": TOOLS} | asked
    assert str(refusal(caller.post(CHAT, **body))["param"]).startswith(param)
