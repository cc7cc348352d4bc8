"""Sends requests to the Messages API in this process, and checks the form of its streams."""

import json
import re
from typing import Any

from werkzeug.test import TestResponse

from ...serving import Served

MESSAGES = "/v1/messages"
COUNT = "/v1/messages/count_tokens"
HELLO: list[dict[str, Any]] = [{"role": "user", "content": "Hello"}]
BODY: dict[str, Any] = {"model": "scripted", "max_tokens": 100, "seed": 3, "messages": HELLO}
_EVENT = re.compile(r"(?:id: (?P<id>[0-9a-z.*~-]+)\n)?event: (?P<name>\w+)\ndata: (?P<data>.*)")

Event = dict[str, Any]


def send(served: Served, **fields: Any) -> dict[str, Any]:
    """Return the message that answers a body with these fields."""
    response = served.post(MESSAGES, **BODY | fields)
    assert response.status_code == 200, response.text
    found: dict[str, Any] = response.get_json()
    return found


def events(served: Served, **fields: Any) -> list[Event]:
    """Return the events of a stream, without pings, and check their order."""
    response = served.post(MESSAGES, **BODY | fields, stream=True)
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    found = [event for _, event in split(response.text)]
    names = [event["type"] for event in found]
    assert names[0] == "message_start"
    assert names[-2:] == ["message_delta", "message_stop"]
    assert set(names[1:-2]) <= {
        "content_block_start",
        "content_block_delta",
        "content_block_stop",
    }
    return found


def split(stream: str) -> list[tuple[str, Event]]:
    """Return the events with their ids, without pings and comments."""
    found = []
    for block in filter(None, stream.split("\n\n")):
        event = _EVENT.fullmatch(re.sub(r"^(: waiting\n)*", "", block))
        assert event is not None, block
        data = json.loads(event["data"])
        assert data["type"] == event["name"]
        if data["type"] != "ping":
            found.append((event["id"] or "", data))
    return found


def accumulated(found: list[Event]) -> dict[str, Any]:
    """Return the message that a stream's events make, as Anthropic's client joins them."""
    message: dict[str, Any] = dict(found[0]["message"])
    content: list[dict[str, Any]] = message["content"]
    texts: list[str] = []
    ended: list[bool] = []
    for event in found[1:-2]:
        if event["type"] == "content_block_start":
            assert event["index"] == len(content)
            assert all(ended)
            content.append(dict(event["content_block"]))
            texts.append("")
            ended.append(False)
        elif event["type"] == "content_block_stop":
            ended[event["index"]] = True
        else:
            assert not ended[event["index"]]
            delta = {**event["delta"]}
            kind = delta.pop("type")
            ((name, text),) = delta.items()
            if kind == "input_json_delta":
                texts[event["index"]] += text
                assert name == "partial_json"
            else:
                content[event["index"]][name] += text
    assert all(ended)
    for block, text in zip(content, texts, strict=True):
        if block["type"] == "tool_use":
            assert block["input"] == {}
            block["input"] = json.loads(text)
    last = found[-2]
    return {**message, **last["delta"], "usage": last["usage"]}


def without_ids(message: dict[str, Any]) -> dict[str, Any]:
    """Return a message without what differs from request to request."""
    content = [{**block, "id": ""} if "id" in block else block for block in message["content"]]
    return {**message, "id": "", "content": content}


def refusal(response: TestResponse, status: int = 400) -> dict[str, Any]:
    """Return Anthropic's error object."""
    assert response.status_code == status, response.text
    body = response.get_json()
    assert set(body) == {"type", "error", "request_id"}
    assert body["type"] == "error"
    assert body["request_id"] == response.headers["request-id"] == response.headers["X-Request-ID"]
    error: dict[str, Any] = body["error"]
    assert set(error) == {"type", "message"}
    return error


def refused(served: Served, status: int = 400, **fields: Any) -> str:
    """Return the message of the error that answers a body with these fields."""
    return str(refusal(served.post(MESSAGES, **BODY | fields), status)["message"])
