"""Q-03: Anthropic's Messages, over real processes, as its clients send them."""

from typing import Any

from contract.asking import get, post
from contract.conftest import Stack
from frontend.api.anthropic.sending import accumulated, split, without_ids
from processes import Running
from raw_http import Answer

HELLO = [{"role": "user", "content": "Hello"}]
BODY: dict[str, Any] = {"model": "scripted", "max_tokens": 12, "messages": HELLO, "seed": 3}
WEATHER = {
    "name": "weather",
    "input_schema": {
        "type": "object",
        "properties": {"city": {"enum": ["Paris", "Rome"]}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
VERSION = {"anthropic_version": "2023-06-01"}


def message(answer: Answer) -> dict[str, Any]:
    assert answer.status == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def streamed(answer: Answer) -> list[dict[str, Any]]:
    assert answer.whole
    return [event for _, event in split(answer.text)]


def test_q03_a_message_and_its_stream(server: Running) -> None:
    whole = message(post(server.port, BODY, "/v1/messages?beta=true", **VERSION))
    assert whole["content"][0]["text"]
    assert whole["stop_reason"] in {"end_turn", "max_tokens"}
    events = streamed(post(server.port, BODY | {"stream": True}, "/v1/messages", **VERSION))
    assert without_ids(accumulated(events)) == without_ids(whole)
    assert events[0]["message"]["usage"]["input_tokens"] == whole["usage"]["input_tokens"]


def test_q03_tokens_are_counted_exactly(server: Running) -> None:
    more = {"system": [{"type": "text", "text": "Be brief."}], "tools": [WEATHER]}
    counted = post(server.port, BODY | more, "/v1/messages/count_tokens", **VERSION)
    usage = message(post(server.port, BODY | more, "/v1/messages"))["usage"]
    assert counted.json() == {"input_tokens": usage["input_tokens"]}


def test_q03_a_loop_of_a_tool(server: Running) -> None:
    forced = {"tools": [WEATHER], "tool_choice": {"type": "tool", "name": "weather"}}
    body = BODY | forced | {"max_tokens": 900}
    called = message(post(server.port, body, "/v1/messages"))
    (call,) = called["content"]
    assert (called["stop_reason"], call["name"]) == ("tool_use", "weather")
    assert call["input"]["city"] in {"Paris", "Rome"}
    again = body | {"stream": True, "cache_salt": "its usage counts no cached tokens"}
    events = streamed(post(server.port, again, "/v1/messages"))
    assert without_ids(accumulated(events)) == without_ids(called)
    result = {"type": "tool_result", "tool_use_id": call["id"], "content": "It rains."}
    turns = [
        *HELLO,
        {"role": "assistant", "content": called["content"]},
        {"role": "user", "content": [result]},
    ]
    answered = message(post(server.port, BODY | {"messages": turns}, "/v1/messages"))
    assert answered["content"][0]["text"]
    wrong = post(server.port, BODY | {"messages": turns[:1] + turns[2:]}, "/v1/messages")
    assert wrong.status == 400
    assert "tool_use_id" in wrong.json()["error"]["message"]


def test_q03_errors_and_tokens_are_anthropics(stack: Stack) -> None:
    token = stack.authorization.removeprefix("Bearer ")
    answered = post(stack.proxy.port, BODY, "/v1/messages", x_api_key=token)
    assert message(answered)["type"] == "message"
    for keys in ({}, {"x_api_key": "sk-ant-api03"}, {"x_api_key": token, "Authorization": "no"}):
        refused = post(stack.proxy.port, BODY, "/v1/messages", **keys)
        assert (refused.status, refused.json()["error"]["type"]) == (401, "authentication_error")
    unknown = post(stack.proxy.port, BODY | {"model": "x"}, "/v1/messages", x_api_key=token)
    assert (unknown.status, unknown.json()["error"]["type"]) == (404, "not_found_error")
    assert unknown.json()["request_id"] == unknown.headers["request-id"]


def test_q03_models_in_anthropics_form(server: Running) -> None:
    listed = get(server.port, "/v1/models", **VERSION).json()
    assert [each["type"] for each in listed["data"]] == ["model"]
    assert listed["first_id"] == listed["last_id"] == "scripted"
    assert get(server.port, "/v1/models").json()["object"] == "list"
