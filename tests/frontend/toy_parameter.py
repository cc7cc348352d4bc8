"""Serve in this process and print, as JSON, where the sampling parameter `toy` can be seen.

A program for test_toy_parameter.py; toy_line.py starts it.
"""

import json
import sys
from typing import Any

from backend.driven import Driven, submit
from frontend.serving import Served, serving
from rowcast import wire
from rowcast.frontend.api.documents.tables import TABLES
from rowcast.frontend.request.defaults import defaults_of

COMPLETION = {"model": "scripted", "prompt": "Hello", "seed": 3, "max_tokens": 4}
NATIVE = {"text": "Hello", "max_tokens": 4, "stream": False}


def posted(served: Served, path: str, **fields: Any) -> dict[str, Any]:
    """Return status and body of an answer, and the toy of each reply that was computed."""
    served.engine.seatings.clear()
    response = served.post(path, **fields)
    toys = [getattr(each.params, "toy", None) for each in served.engine.seatings]
    return {"status": response.status_code, "body": response.get_json(), "toys": toys}


def native(served: Served, **fields: Any) -> dict[str, Any]:
    return posted(served, "/", **NATIVE, **fields)


def completion(served: Served, **fields: Any) -> dict[str, Any]:
    return posted(served, "/v1/completions", **COMPLETION, **fields)


def replayed(served: Served, receipt: dict[str, Any]) -> dict[str, Any]:
    """Compute the reply of a receipt again."""
    question = {name: value for name, value in receipt.items() if name != "model"}
    return posted(served, "/v1/replay", **question | {"replies": [{"prompt": 0, "choice": 0}]})


def across_the_wire(**params: Any) -> float | None:
    """Return the toy of parameters that were encoded and decoded."""
    (command,) = wire.decode_commands(wire.encode([submit("s", **params)]))
    assert isinstance(command, wire.Submit)
    return getattr(command.params, "toy", None)


def fault_of(**params: Any) -> str:
    """Return the message with which the backend refuses parameters."""
    driven = Driven()
    peer = driven.reader()
    peer.send(submit("s", **params))
    driven.step()
    return peer.rejected["s"].message if peer.rejected else ""


def seen(served: Served) -> dict[str, Any]:
    """Return what each place shows."""
    answer = completion(served, toy_share=3, receipt=True)
    receipt = answer["body"]["receipt"]
    return {
        "wire": [across_the_wire(), across_the_wire(toy=7.5)],
        "native": [native(served), native(served, toy="4"), native(served, toy=9)],
        "openai": [
            completion(served),
            answer,
            completion(served, toy_share=10),
            completion(served, toy=3),
        ],
        "receipt": receipt,
        "replay": replayed(served, receipt),
        "configured": getattr(defaults_of({"toy": 2}), "toy", None),
        "document": served.client.get("/openapi.json").get_json(),
        "tables": {page: table() for page, table in TABLES.items()},
        "backend": [fault_of(toy=5), fault_of(toy=-1e301)],
    }


if __name__ == "__main__":
    with serving() as server:
        json.dump(seen(server), sys.stdout)
