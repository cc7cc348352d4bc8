"""The lines of an input file: requests in OpenAI's batch form, or in a plain one.

    {"custom_id": "a", "method": "POST", "url": "/v1/completions", "body": {…}}
    {"prompt": "Once upon a time", "max_tokens": 20, "id": 7}
    {"messages": [{"role": "user", "content": "Hello"}]}

In the plain form, `id` and `metadata` are copied to the output; what remains is the body. A line
that is not a request is a `Fault`, which concerns this line alone.
"""

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from rowcast.errors import BodyTooLarge, InvalidField, MalformedRequest, RequestError
from rowcast.frontend.api import needs_rows
from rowcast.frontend.request.body import parse_object

COMPLETIONS, CHAT = "/v1/completions", "/v1/chat/completions"
COPIED = ("id", "metadata")
_BLOCK = 1 << 20
_BATCH = {"custom_id", "method", "url", "body"}
_FORMS = 'send "custom_id", "url" and "body", or "prompt", or "messages"'


@dataclass(frozen=True, slots=True)
class Line:
    """One line, by its number among those that are not empty."""

    number: int
    content: bytes
    too_long: bool = False


@dataclass(frozen=True, slots=True)
class Task:
    """A request."""

    number: int
    path: str
    body: bytes
    custom_id: str | None = None  # None: the plain form
    copied: Mapping[str, Any] = field(default_factory=dict)  # of the plain form, to the output


@dataclass(frozen=True, slots=True)
class Fault:
    """A line that is not a request."""

    number: int
    error: RequestError
    custom_id: str | None = None
    plain: bool = False
    copied: Mapping[str, Any] = field(default_factory=dict)


def lines_of(path: Path, longest: int) -> Iterator[Line]:
    """Yield the lines of a file that are not empty. `longest`: the most bytes of a line."""
    number = 0
    with path.open("rb") as file:
        while content := file.readline(longest + 1):
            too_long = len(content) > longest and not content.endswith(b"\n")
            while too_long and not content.endswith(b"\n"):
                content = file.readline(longest) or b"\n"
            if not content.strip() and not too_long:
                continue
            yield Line(number, b"" if too_long else content, too_long)
            number += 1


def count_lines(path: Path, longest: int = _BLOCK) -> int:
    """Return the number of a file's lines that are not empty."""
    return sum(1 for _ in lines_of(path, longest))


def task_of(line: Line, model: str) -> Task | Fault:
    """Return the request in a line. `model`: of the plain form, which need not name one."""
    sent: dict[str, Any] = {}
    try:
        if line.too_long:
            raise BodyTooLarge("the line is longer than BODY_BYTES; send a shorter one")
        sent = parse_object(line.content)
        if "body" in sent or "url" in sent:
            return _batch_task(line.number, sent)
        return _plain_task(line.number, sent, model)
    except RequestError as error:
        custom = sent.get("custom_id")
        named = custom if isinstance(custom, str) else None
        plain = not sent.keys() & _BATCH and bool(sent)
        return Fault(line.number, error, named, plain, _copied(sent) if plain else {})


def _batch_task(number: int, sent: dict[str, Any]) -> Task:
    if unknown := sent.keys() - _BATCH:
        raise InvalidField(min(unknown)[:80], f"is not a field of a line; {_FORMS}")
    custom, url, body = sent.get("custom_id"), sent.get("url"), sent.get("body")
    if not isinstance(custom, str):
        raise InvalidField("custom_id", "must be a string, which names this line's answer")
    if sent.get("method", "POST") != "POST":
        raise InvalidField("method", "must be POST")
    if not isinstance(url, str) or not needs_rows("POST", url):
        raise InvalidField("url", f"must be the path of an API, such as {COMPLETIONS} or {CHAT}")
    if not isinstance(body, dict):
        raise InvalidField("body", "must be an object")
    return Task(number, url, _encoded(body), custom)


def _plain_task(number: int, sent: dict[str, Any], model: str) -> Task:
    if "prompt" not in sent and "messages" not in sent:
        raise MalformedRequest(f"the line is not a request; {_FORMS}")
    body = {name: value for name, value in sent.items() if name not in COPIED}
    path = CHAT if "messages" in sent else COMPLETIONS
    return Task(number, path, _encoded({"model": model, **body}), None, _copied(sent))


def _copied(sent: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the plain form's output repeats."""
    return {name: sent[name] for name in (*COPIED, "prompt", "messages") if name in sent}


def _encoded(body: Mapping[str, Any]) -> bytes:
    """Return the body of a request. The whole answer is a line, so nothing is streamed."""
    if body.get("stream"):
        raise InvalidField("stream", "is not supported in a batch; leave it out")
    return json.dumps(body).encode()
