"""Sends requests to the OpenAI dialect in this process, and checks the form of its streams."""

import json
import re
from typing import Any

from werkzeug.test import TestResponse

from ...serving import Served

COMPLETIONS = "/v1/completions"
CHAT = "/v1/chat/completions"
HELLO = [{"role": "user", "content": "Hello"}]
HELLO_TEXT = "user: Hello\nassistant:"  # as the plain template writes it


def complete(served: Served, **fields: Any) -> dict[str, Any]:
    """Return the object that answers a completion."""
    return _object(served.post(COMPLETIONS, **{"model": "scripted", "prompt": "Hello"} | fields))


def chat(served: Served, **fields: Any) -> dict[str, Any]:
    """Return the object that answers a chat."""
    return _object(served.post(CHAT, **{"model": "scripted", "messages": HELLO} | fields))


def events(served: Served, path: str, **fields: Any) -> list[dict[str, Any]]:
    """Return the chunks of a stream, and check that it ends correctly."""
    asked = {"prompt": "Hello"} if path == COMPLETIONS else {"messages": HELLO}
    response = served.post(path, **{"model": "scripted", "stream": True} | asked | fields)
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    chunks, done = split(response.text)
    assert done, "the stream has no [DONE]"
    return chunks


def split(stream: str) -> tuple[list[dict[str, Any]], bool]:
    """Return a stream's objects, and whether it ends with [DONE]."""
    events = [block for block in stream.split("\n\n") if block]
    blocks = [re.sub(r"^(: waiting\n)*(id: [0-9a-z.*~-]+\n)?", "", event) for event in events]
    assert all(block.startswith("data: ") and "\n" not in block for block in blocks), blocks
    datas = [block.removeprefix("data: ") for block in blocks]
    done = bool(datas) and datas[-1] == "[DONE]"
    return [json.loads(data) for data in (datas[:-1] if done else datas)], done


def texts(chunks: list[dict[str, Any]], count: int = 1) -> list[str]:
    """Return each choice's text, joined."""
    joined = [""] * count
    for chunk in chunks:
        for choice in chunk["choices"]:
            delta = choice.get("delta", {})
            joined[choice["index"]] += choice.get("text") or delta.get("content") or ""
    return joined


def reasons(chunks: list[dict[str, Any]]) -> dict[int, str]:
    """Return each choice's finish reason; check that it has exactly one."""
    found: dict[int, str] = {}
    for choice in (choice for chunk in chunks for choice in chunk["choices"]):
        assert choice["index"] not in found, "a choice goes on after its end"
        if choice["finish_reason"] is not None:
            found[choice["index"]] = choice["finish_reason"]
    return found


def refusal(response: TestResponse, status: int = 400) -> dict[str, Any]:
    """Return OpenAI's error object."""
    assert response.status_code == status, response.text
    body = response.get_json()
    assert set(body) == {"error"}
    error: dict[str, Any] = body["error"]
    assert set(error) == {"message", "type", "param", "code"}
    return error


def _object(response: TestResponse) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "application/json"
    found: dict[str, Any] = response.get_json()
    return found
