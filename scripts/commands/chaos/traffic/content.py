"""The content of an answer, whatever its pieces, and where to resume one that was cut.

    raw      its bytes
    events   per choice its text, log-probabilities and end, joined; counts of single events
    json     the object
Times and ids of the single answer are left out, and the number of cached tokens: that may differ
between two requests, but not between two readings of one. Every other byte of every field is
compared.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from typing import Any

from commands.chaos.traffic.request import Form
from http_client.events import Event, events_of

_ID = re.compile(rb"^id: ", re.MULTILINE)  # comments may precede it
_CACHED = "cached_tokens"
_ITS_OWN = {"id", "created", "tokens_per_second", "processing_time", _CACHED}


def content(form: Form, body: bytes) -> object:
    """Return the content of a whole answer, for comparison."""
    if form == "raw":
        return body
    if form == "json":
        return _lasting(json.loads(body))
    whole: dict[str, Any] = {}
    for event in events_of(body):
        _grow_by_event(whole, event)
    return whole


def cached(form: Form, body: bytes) -> list[int]:
    """Return the numbers of cached tokens in a whole answer, in their order."""
    if form == "raw":
        return []
    events = [json.loads(each.data) for each in events_of(body) if each.data != "[DONE]"]
    return list(_cached(json.loads(body) if form == "json" else events))


def resumable(form: Form, body: bytes) -> bytes:
    """Return the part of a cut answer from which its reader can resume."""
    if form == "raw":
        return body
    if form == "json":
        return b""
    end = body.rfind(b"\n\n") + 2 if b"\n\n" in body else 0
    blocks = body[:end].split(b"\n\n")[:-1]
    while blocks and not _ID.search(blocks[-1]):
        blocks.pop()  # without an id: what follows the last id is sent again
    return b"".join(block + b"\n\n" for block in blocks)


def position(form: Form, received: bytes) -> str:
    """Return that position in the server's format."""
    if form == "raw":
        return str(len(received))
    events = events_of(received) if form == "events" else []
    return events[-1].id or "" if events else ""


def difference(wanted: object, got: object) -> str:
    """Describe in a few words where two answers differ."""
    if isinstance(got, dict) and isinstance(wanted, dict) and "error" in {*got} - {*wanted}:
        return f"it ended with an error: {_plain(got['error'])[:200]}"
    left, right = _plain(wanted), _plain(got)
    pairs = zip(left, right, strict=False)
    at = next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))
    return f"at {at}: want {left[at : at + 40]!r}, got {right[at : at + 40]!r}"


def _grow_by_event(whole: dict[str, Any], event: Event) -> None:
    if event.data == "[DONE]":
        whole["done"] = whole.get("done", 0) + 1
        return
    data = json.loads(event.data)
    if event.name != "message":
        whole.setdefault(event.name, []).append(_lasting(data))
        return
    if "text" in data:
        data = {"choices": [{"text": data["text"]}]}
    for choice in data.pop("choices", []):
        _grow(whole.setdefault(f"choice {choice.get('index', 0)}", {}), choice)
    whole.update({name: value for name, value in _lasting(data).items() if value is not None})


def _grow(old: dict[str, Any], new: dict[str, Any]) -> None:
    """Merge: texts and lists are appended, other values are kept once."""
    for name, value in new.items():
        match value:
            case None:
                continue
            case str() | list():
                old[name] = old.get(name, type(value)()) + value
            case dict():
                _grow(old.setdefault(name, {}), value)
            case _:
                old[name] = value


def _lasting(value: Any) -> Any:
    """Return the value without the fields that are unique to one answer."""
    if isinstance(value, dict):
        return {name: _lasting(each) for name, each in value.items() if name not in _ITS_OWN}
    return [_lasting(each) for each in value] if isinstance(value, list) else value


def _cached(value: Any) -> Iterator[int]:
    """Yield the numbers of cached tokens in a value."""
    if isinstance(value, list | dict):
        for name, each in value.items() if isinstance(value, dict) else enumerate(value):
            yield from [each] if name == _CACHED else _cached(each)


def _plain(value: object) -> str:
    if isinstance(value, bytes):
        return value.decode(errors="backslashreplace")
    return json.dumps(value, sort_keys=True)
