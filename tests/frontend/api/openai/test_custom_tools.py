"""Custom tools, allowed subsets of tools, and tools with templates that do not support them."""

import json
import re
from collections.abc import Iterable, Iterator
from typing import Any

import pytest

from rowcast.frontend.api.openai.response.calls import MessageReader, joined
from rowcast.frontend.api.openai.response.types import Delta
from rowcast.text.chat.forms import FORMS
from rowcast.text.chat.reply_reader import ReplyReader
from rowcast.text.chat.template import ChatTemplate
from rowcast.text.chat.tool_calls import ToolReader

from ...serving import Served, serving
from .asking import CHAT, HELLO, chat, events, reasons, refusal
from .saying import SayingEngine
from .test_tools import BARE, NAMED, TAGGED, WEATHER

INPUT = "SELECT \"größe\" FROM t\n\tWHERE a = '\\' -- 😀"
SQL: dict[str, Any] = {"type": "custom", "custom": {"name": "sql", "description": "Run SQL."}}
DATE: dict[str, Any] = {
    "type": "custom",
    "custom": {
        "name": "date",
        "format": {
            "type": "grammar",
            "grammar": {"syntax": "regex", "definition": '[0-9]{2}"[0-9]|x'},
        },
    },
}
LARK: dict[str, Any] = {
    "type": "custom",
    "custom": {
        "name": "math",
        "format": {"type": "grammar", "grammar": {"syntax": "lark", "definition": 'start: "1"'}},
    },
}
FUNCTION: dict[str, Any] = {
    "type": "function",
    "function": {"name": "weather", "parameters": WEATHER},
}


def named(tool: dict[str, Any]) -> dict[str, Any]:
    """Return the tool as a `tool_choice` value."""
    kind = tool["type"]
    return {"type": kind, kind: {"name": tool[kind]["name"]}}


def allowed(mode: str, *tools: dict[str, Any]) -> dict[str, Any]:
    return {
        "type": "allowed_tools",
        "allowed_tools": {"mode": mode, "tools": [named(each) for each in tools]},
    }


@pytest.fixture(scope="module", params=[TAGGED, BARE, None], ids=["tagged", "bare", "none"])
def caller(request: pytest.FixtureRequest) -> Iterator[Served]:
    """A server whose model's template supports tools in one of two forms, or not at all."""
    chat = ChatTemplate(request.param) if request.param else None
    with serving(chat=chat) as served:
        yield served


def calls(served: Served, **asked: Any) -> list[dict[str, Any]]:
    """Return the calls of a reply that must call."""
    (choice,) = chat(served, **{"max_tokens": 1500, "seed": 5} | asked)["choices"]
    assert choice["finish_reason"] == "tool_calls", choice
    found: list[dict[str, Any]] = choice["message"]["tool_calls"]
    return found


def streamed(served: Served, **asked: Any) -> list[dict[str, Any]]:
    """Return the same calls, joined from deltas."""
    chunks = events(served, CHAT, **{"max_tokens": 1500, "seed": 5} | asked)
    assert reasons(chunks) == {0: "tool_calls"}
    found: list[dict[str, Any]] = []
    for chunk in chunks:
        for choice in chunk["choices"]:
            for delta in choice["delta"].get("tool_calls", []):
                if "id" in delta:
                    assert delta["index"] == len(found)
                    found.append({name: each for name, each in delta.items() if name != "index"})
                else:
                    (kind,) = set(delta) - {"index"}
                    (field,) = delta[kind]
                    found[delta["index"]][kind][field] += delta[kind][field]
    return found


@pytest.mark.slow
def test_a_custom_tool_has_a_text_as_its_input(caller: Served) -> None:
    asked: dict[str, Any] = {"tools": [FUNCTION, SQL], "tool_choice": named(SQL)}
    (call,) = calls(caller, **asked)
    assert set(call) == {"id", "type", "custom"}
    assert call["type"] == "custom"
    assert call["custom"]["name"] == "sql"
    assert isinstance(call["custom"]["input"], str)
    (told,) = streamed(caller, **asked)
    assert (told["type"], told["custom"]) == (call["type"], call["custom"])


@pytest.mark.slow
def test_a_regular_expression_holds_for_the_input(caller: Served) -> None:
    for seed in range(6):
        (call,) = calls(caller, tools=[DATE], tool_choice=named(DATE), seed=seed)
        assert re.fullmatch('[0-9]{2}"[0-9]|x', call["custom"]["input"])


def test_a_lark_grammar_of_an_input_is_shown_and_named_as_not_enforced(caller: Served) -> None:
    forced: dict[str, Any] = {"tools": [SQL, LARK], "tool_choice": named(LARK)}
    response = caller.post(CHAT, model="scripted", messages=HELLO, max_tokens=1, **forced)
    assert response.headers["X-Rowcast-Unenforced"] == "format of math"
    without: dict[str, Any] = {**LARK, "custom": {"name": "math"}}
    costs = [
        chat(caller, tools=[tool], max_tokens=1)["usage"]["prompt_tokens"]
        for tool in (LARK, without)
    ]
    assert costs[0] > costs[1] + len('start: \\"1\\"')


def test_a_custom_call_and_its_answer_can_be_sent_back(caller: Served) -> None:
    call = {"id": "c1", "type": "custom", "custom": {"name": "sql", "input": INPUT}}
    messages = [
        *HELLO,
        {"role": "assistant", "content": None, "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "c1", "content": "3 rows"},
    ]
    cost = chat(caller, messages=messages, tools=[SQL], max_tokens=1)["usage"]["prompt_tokens"]
    plain = chat(caller, messages=HELLO, tools=[SQL], max_tokens=1)["usage"]["prompt_tokens"]
    assert cost > plain + len(json.dumps({"input": INPUT}, ensure_ascii=False)) + len("3 rows")


@pytest.mark.parametrize("count", range(3))
def test_only_allowed_tools_are_called(caller: Served, count: int) -> None:
    tools = [FUNCTION, SQL, {"type": "function", "function": {"name": "now"}}]
    some = [tools[count], tools[(count + 1) % 3]]
    names = {each[each["type"]]["name"] for each in some}
    found = calls(caller, tools=tools, tool_choice=allowed("required", *some), seed=count)
    assert {call[call["type"]]["name"] for call in found} <= names


def test_tools_that_are_not_allowed_are_not_shown(caller: Served) -> None:
    some = chat(
        caller, tools=[FUNCTION, SQL], tool_choice=allowed("auto", SQL), max_tokens=9, seed=5
    )
    one = chat(caller, tools=[SQL], max_tokens=9, seed=5)
    assert some["choices"] == one["choices"]
    assert some["usage"]["prompt_tokens"] == one["usage"]["prompt_tokens"]


@pytest.mark.slow
def test_every_choice_calls_and_streams_the_same(caller: Served) -> None:
    asked: dict[str, Any] = {
        "tools": [FUNCTION, SQL],
        "tool_choice": "required",
        "parallel_tool_calls": False,
        "max_tokens": 1500,
        "seed": 3,
        "n": 3,
    }
    whole = chat(caller, **asked)["choices"]
    names = [list(_names(choice["message"])) for choice in whole]
    assert all(len(each) == 1 for each in names)
    chunks = events(caller, CHAT, **asked)
    told = [
        [
            delta[delta["type"]]["name"]
            for chunk in chunks
            for choice in chunk["choices"]
            for delta in choice["delta"].get("tool_calls", [])
            if choice["index"] == reply and "id" in delta
        ]
        for reply in range(3)
    ]
    assert told == names


def _names(message: dict[str, Any]) -> Iterator[str]:
    for call in message["tool_calls"]:
        yield call[call["type"]]["name"]


@pytest.mark.parametrize(
    ("text", "content", "inputs"),
    [
        ('<tool_call>{"name": "sql", "arguments": {"input": "a\\n\\u00f6\\"b"}}</tool_call>',
         None, ['a\nö"b']),
        ('So: <tool_call>{"name": "sql", "arguments": {"code": "a"}}</tool_call>',
         "So: ", ['{"code": "a"}']),
        ('<tool_call>{"name": "sql", "arguments": {"input": "a\\u00', None, ["a"]),
        ('<tool_call>{"name": "sql", "arguments": {"inp', None, ['{"inp']),
    ],
)  # fmt: skip
def test_what_a_model_says_of_itself_is_read(
    text: str, content: str | None, inputs: list[str]
) -> None:
    for message in (joined(_read([text])), joined(_read(text))):
        assert message.content == content
        calls = message.tool_calls or []
        assert [call.custom.input for call in calls if call.custom] == inputs


def _read(pieces: Iterable[str]) -> list[Delta]:
    """Read a reply that no rule constrains."""
    reader = MessageReader(
        ReplyReader(None, ToolReader(FORMS["tagged"], {"sql"})), {"sql"}, "id", 0
    )
    found = [delta for at, piece in enumerate(pieces) for delta in reader.feed(piece, at)]
    return [*found, *reader.finish()]


@pytest.mark.slow
def test_a_template_without_words_for_tools_is_told_of_them() -> None:
    call = '<tool_call>{"name": "weather", "arguments": {"city": "Rome", "days": 1}}</tool_call>'
    with serving(engine=SayingEngine(call)) as served:
        shown = chat(served, tools=[FUNCTION], max_tokens=1)["usage"]["prompt_tokens"]
        plain = chat(served, max_tokens=1)["usage"]["prompt_tokens"]
        assert shown > plain + len(json.dumps(FUNCTION["function"]))
        for choice in (None, "auto", "required", NAMED):
            asked = {"tools": [FUNCTION], "tool_choice": choice, "parallel_tool_calls": False}
            (found,) = chat(served, **asked)["choices"]
            (told,) = found["message"]["tool_calls"]
            assert json.loads(told["function"]["arguments"]) == {"city": "Rome", "days": 1}


@pytest.mark.parametrize(
    ("asked", "param"),
    [
        ({"tool_choice": allowed("required", LARK)}, "tool_choice.allowed_tools.tools[0].custom"),
        ({"tool_choice": allowed("any", SQL)}, "tool_choice.allowed_tools.mode"),
        ({"tool_choice": allowed("auto")}, "tool_choice.allowed_tools.tools"),
        ({"tool_choice": {"type": "allowed_tools"}}, "tool_choice.allowed_tools"),
        ({"tool_choice": {"type": "custom", "function": {"name": "sql"}}}, "tool_choice.custom"),
        ({"tool_choice": named({**SQL, "type": "function", "function": {"name": "sql"}})},
         "tool_choice.function.name"),
        ({"tools": [], "tool_choice": allowed("auto", SQL)}, "tool_choice"),
        ({"tools": [{"type": "custom"}]}, "tools[0].custom"),
        ({"tools": [{"type": "function", "custom": {"name": "a"}}]}, "tools[0].function"),
        ({"tools": [{"type": "custom", "custom": {"name": "a b"}}]}, "tools[0].custom.name"),
        ({"tools": [{"type": "custom", "custom": {"name": "a", "format": {"type": "grammar"}}}]},
         "tools[0].custom.format.grammar"),
        ({"messages": [{"role": "assistant", "tool_calls": [{"id": "a", "type": "custom"}]}]},
         "messages[0].tool_calls[0].custom"),
        ({"tools": [{**DATE, "custom": {"name": "date", "format": {"type": "grammar", "grammar": {
            "syntax": "regex", "definition": "a("}}}}], "tool_choice": "required"}, "tools"),
    ],
)  # fmt: skip
def test_what_cannot_be_is_refused(caller: Served, asked: dict[str, Any], param: str) -> None:
    body = {"model": "scripted", "messages": HELLO, "tools": [FUNCTION, SQL]} | asked
    assert str(refusal(caller.post(CHAT, **body))["param"]).startswith(param)
