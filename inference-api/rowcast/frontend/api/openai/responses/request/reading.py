"""Reads bodies of /v1/responses: strict, with errors that name the field and what to send instead.

What belongs to other parts of OpenAI's API is refused by name, before types are checked. An item of
the input without `type` is a message.
"""

from collections.abc import Iterator, Sequence
from typing import Any

from rowcast.errors import InvalidField
from rowcast.frontend.api.openai.request.parsing import as_struct
from rowcast.frontend.api.openai.responses.request.body import LOGPROBS, ResponseBody

_IGNORED = frozenset({"prompt_cache_options", "access_programs"})
_REFUSED: dict[str, tuple[str, tuple[object, ...]]] = {  # why, and values without effect
    "conversation": ("is not supported; send previous_response_id, or all items as input", ()),
    "prompt": ("is not supported: no prompts are stored here; send instructions and input", ()),
    "context_management": ("is not supported: nothing is compacted; send fewer items", ([],)),
    "moderation": ("is not supported: this server does not moderate", ()),
    "truncation": ("must be disabled: nothing is dropped unseen; send fewer items", ("disabled",)),
    "n": ("is not supported: a response has one output", (1,)),
    "messages": ("belongs to /v1/chat/completions; send input", ()),
    "max_tokens": ("belongs to other routes; send max_output_tokens", ()),
    "max_completion_tokens": ("belongs to other routes; send max_output_tokens", ()),
    "response_format": ("belongs to /v1/chat/completions; send text.format", ()),
    "logprobs": (f"belongs to /v1/chat/completions; send include with {LOGPROBS}", (False,)),
}
_ITEMS = ("message", "function_call", "function_call_output", "reasoning")
_PARTS = ("input_text", "output_text", "refusal")
_SOME = 10_000  # of the items of a list; the types limit their number


def read_body(sent: dict[str, Any]) -> ResponseBody:
    """Convert a JSON object to a body. Raises InvalidField."""
    known = {name: value for name, value in sent.items() if _counts(name, value)}
    for field, kind in _types(known):
        _check_type(field, kind)
    body = as_struct(_with_types(known), ResponseBody)
    _check_options(body)
    return body


def _counts(name: str, value: object) -> bool:
    """Return whether a field is to be read; raise if it may not be sent."""
    if name not in _REFUSED:
        return name not in _IGNORED
    why, harmless = _REFUSED[name]
    if value is None or any(value == each for each in harmless):
        return False
    raise InvalidField(name, why)


def _types(sent: dict[str, Any]) -> Iterator[tuple[str, object]]:
    """Yield the `type` of each tool, item and part, with its field."""
    for at, tool in _objects(sent.get("tools")):
        yield f"tools[{at}].type", tool.get("type")
    for at, item in _objects(sent.get("input")):
        yield f"input[{at}].type", item.get("type", "message")
        for number, part in _objects(item.get("content")):
            yield f"input[{at}].content[{number}].type", part.get("type")


def _objects(found: object) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the objects of a list with their places; other values are left to the types."""
    for at, each in enumerate(found[:_SOME] if isinstance(found, list) else ()):
        if isinstance(each, dict):
            yield at, each


def _check_type(field: str, kind: object) -> None:
    """Refuse what no server without tools, files and images of its own can take."""
    if not isinstance(kind, str):
        return
    if field.startswith("tools"):
        known: Sequence[str] = ("function",)
        hint = "this server runs no tools of its own; send functions"
    elif ".content" in field:
        known, hint = (*_PARTS, "reasoning_text"), "this model reads text only"
    else:
        known, hint = _ITEMS, f"send items of type {', '.join(_ITEMS)}"
    if kind not in known:
        raise InvalidField(field, f"is {kind[:40]!r}, which is not supported: {hint}")


def _with_types(sent: dict[str, Any]) -> dict[str, Any]:
    """Return the body with a `type` for each message."""
    items = sent.get("input")
    if not isinstance(items, list):
        return sent
    typed = [
        {"type": "message", **each} if isinstance(each, dict) and "role" in each else each
        for each in items
    ]
    return {**sent, "input": typed}


def _check_options(body: ResponseBody) -> None:
    """Refuse options that contradict each other, or that have no effect here."""
    if body.stream_options is not None and not body.stream:
        raise InvalidField("stream_options", "is only allowed when stream is true")
    if body.top_logprobs and not body.with_logprobs:
        raise InvalidField("top_logprobs", f"is only allowed when include has {LOGPROBS}")
    if body.background and not body.stored:
        raise InvalidField("store", "cannot be false with background: nobody could read it")
