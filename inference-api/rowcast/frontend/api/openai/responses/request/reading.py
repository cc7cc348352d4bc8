"""Reads bodies of /v1/responses: strict, with errors that name the field and what to send instead.

What belongs to other parts of OpenAI's API is refused by name, before types are checked. An item of
the input without `type` is a message.
"""

from collections.abc import Iterator
from typing import Any, NamedTuple

from rowcast.errors import InvalidField
from rowcast.frontend.api.bodies.parsing import as_struct
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


class _Kinds(NamedTuple):
    known: frozenset[str]
    hint: str  # for others


_TOOLS = _Kinds(frozenset({"function"}), "this server runs no tools of its own; send functions")
_ITEM_TYPES = ("message", "function_call", "function_call_output", "reasoning")
_ITEMS = _Kinds(frozenset(_ITEM_TYPES), f"send items of type {', '.join(_ITEM_TYPES)}")
_PARTS = _Kinds(
    frozenset({"input_text", "output_text", "refusal", "reasoning_text", "summary_text"}),
    "this model reads text only",
)
_SOME = 10_000  # of the items of a list; the types limit their number


def read_body(sent: dict[str, Any]) -> ResponseBody:
    """Convert a JSON object to a body. Raises InvalidField."""
    known = {name: value for name, value in sent.items() if _counts(name, value)}
    for field, kind, kinds in _types(known):
        _check_type(field, kind, kinds)
    body = as_struct(_with_types(known), ResponseBody)
    _check_options(body)
    return body


def _counts(name: str, value: object) -> bool:
    """True if a field is to be read. Raises InvalidField if it may not be sent."""
    if name not in _REFUSED:
        return name not in _IGNORED
    why, harmless = _REFUSED[name]
    if value is None or any(value == each for each in harmless):
        return False
    raise InvalidField(name, why)


def _types(sent: dict[str, Any]) -> Iterator[tuple[str, object, _Kinds]]:
    """Yield the `type` of each tool, item and part: its field, its value, and what it may be."""
    choice = sent.get("tool_choice")
    for name, tools in (("tools", sent), ("tool_choice.tools", choice)):
        for at, tool in _objects(tools, "tools"):
            yield f"{name}[{at}].type", tool.get("type"), _TOOLS
    for at, item in _objects(sent, "input"):
        yield f"input[{at}].type", item.get("type", "message"), _ITEMS
        for part_of in ("content", "output", "summary"):
            for number, part in _objects(item, part_of):
                yield f"input[{at}].{part_of}[{number}].type", part.get("type"), _PARTS


def _objects(sent: object, name: str) -> Iterator[tuple[int, dict[str, Any]]]:
    """Yield the objects of a list with their places; other values are left to the types."""
    found = sent.get(name) if isinstance(sent, dict) else None
    for at, each in enumerate(found[:_SOME] if isinstance(found, list) else ()):
        if isinstance(each, dict):
            yield at, each


def _check_type(field: str, kind: object, kinds: _Kinds) -> None:
    """Refuse what a server without tools, files and images of its own cannot take."""
    if kind is None:
        raise InvalidField(field, "is missing")
    if isinstance(kind, str) and kind not in kinds.known:
        raise InvalidField(field, f"is {kind[:40]!r}, which is not supported: {kinds.hint}")


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
