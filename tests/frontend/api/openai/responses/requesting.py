"""Sends requests to /v1/responses in this process; every answer is parsed as OpenAI's client does.

The types of OpenAI's package are strict here: a wrong or missing field fails the test.
"""

import json
from typing import Any

from openai.types.responses import Response, ResponseStreamEvent
from pydantic import TypeAdapter
from werkzeug.test import TestResponse

from http_client.events import Event, events_of

from ....serving import Served

PATH = "/v1/responses"
_EVENT: TypeAdapter[Any] = TypeAdapter(ResponseStreamEvent)


def send(served: Served, **fields: Any) -> TestResponse:
    """Return the answer to a request; by default of a short input."""
    return served.post(PATH, **{"model": "scripted", "input": "Hello"} | fields)


def respond(served: Served, **fields: Any) -> dict[str, Any]:
    """Return the response to a request."""
    return parsed(send(served, **fields))


def parsed(response: TestResponse) -> dict[str, Any]:
    """Return a response object."""
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "application/json"
    found: dict[str, Any] = response.get_json()
    Response.model_validate(found, strict=True)
    return found


def stream(served: Served, **fields: Any) -> list[dict[str, Any]]:
    """Return the events of a stream."""
    return events(send(served, stream=True, **fields))


def get(served: Served, name: str, **query: Any) -> TestResponse:
    """Read a stored response again."""
    client = served.client
    return client.get(f"{PATH}/{name}", query_string=query, buffered=True)


def events(response: TestResponse, after: int = -1) -> list[dict[str, Any]]:
    """Return a stream's events, and check their form, numbers and one end."""
    assert response.status_code == 200, response.text
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    found = [_checked(event) for event in events_of(response.data)]
    numbers = [event["sequence_number"] for event in found]
    assert numbers == list(range(after + 1, after + 1 + len(found)))
    ends = {"response.completed", "response.incomplete", "response.failed"}
    assert [event["type"] in ends for event in found] == [False] * (len(found) - 1) + [True]
    return found


def _checked(event: Event) -> dict[str, Any]:
    data: dict[str, Any] = json.loads(event.data)
    assert (event.name, event.id) == (data["type"], str(data["sequence_number"]))
    _EVENT.validate_python(data, strict=True)
    return data


def texts(response: dict[str, Any]) -> list[str]:
    """Return the texts of a response's messages."""
    return [
        part["text"]
        for item in response["output"]
        if item["type"] == "message"
        for part in item["content"]
    ]


def kinds(found: list[dict[str, Any]]) -> list[str]:
    """Return the types of events, each run of deltas as one."""
    names = [event["type"].removeprefix("response.") for event in found]
    return [
        name
        for at, name in enumerate(names)
        if not (name.endswith("delta") and at and names[at - 1] == name)
    ]
