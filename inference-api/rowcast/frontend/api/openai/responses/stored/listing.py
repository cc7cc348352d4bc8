"""The items of a response's input: pages of a list, in OpenAI's form."""

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from rowcast.errors import InvalidField
from rowcast.frontend.api.openai.responses.request.items import InputItem, MessageItem
from rowcast.frontend.api.openai.responses.response.output import item_id
from rowcast.frontend.api.openai.responses.response.types import ItemList
from rowcast.frontend.request.fields import Fields
from rowcast.frontend.turns import in_turns

_QUERY = ("limit", "order", "after", "include", "include[]")
_PREFIXES = {"message": "msg", "function_call": "fc", "function_call_output": "fco"}


def listed(response: str, items: Sequence[InputItem], query: Mapping[str, str]) -> ItemList:
    """Return the page that a query requests; by default the last 20 items, the newest first."""
    fields = Fields(query, _QUERY, lenient=True)
    limit = fields.integer("limit", 20, 1, 100)
    order = fields.text("order")
    order = "desc" if order is None else order
    if order not in {"asc", "desc"}:
        raise InvalidField("order", f"is {order[:40]!r}; send asc or desc")
    shown = [_shown(response, at, item) for at, item in in_turns(enumerate(items))]
    if order == "desc":
        shown.reverse()
    after = fields.text("after")
    rest = shown if not after else shown[_place(shown, after) + 1 :]
    page = rest[:limit]
    return ItemList(
        data=page,
        first_id=page[0]["id"] if page else None,
        last_id=page[-1]["id"] if page else None,
        has_more=len(rest) > limit,
    )


def _place(items: Sequence[dict[str, Any]], name: str) -> int:
    for at, item in enumerate(items):
        if item["id"] == name:
            return at
    raise InvalidField("after", f"is {name[:80]!r}, which is not the id of an item of this list")


def _shown(response: str, at: int, item: InputItem) -> dict[str, Any]:
    """Return an item with all fields that a list has."""
    shown: dict[str, Any] = msgspec.to_builtins(item)
    kind = shown["type"]
    shown["id"] = item.id or item_id(_PREFIXES.get(kind, "rs"), f"{response}/input", at)
    shown["status"] = item.status or "completed"
    if isinstance(item, MessageItem):
        part = "output_text" if item.role == "assistant" else "input_text"
        content = shown["content"]
        parts = [{"type": part, "text": content}] if isinstance(content, str) else content
        shown["content"] = [_part(each) for each in parts]
    return {name: value for name, value in shown.items() if value is not None}


def _part(part: dict[str, Any]) -> dict[str, Any]:
    return {**part, "annotations": []} if part["type"] == "output_text" else part
