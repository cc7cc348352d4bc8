"""Messages as they are sent, converted to those that chat templates take.

Content parts become one text. Null members are dropped, since templates would take them as sent.
Images are refused: the served models read text.
"""

from collections.abc import Mapping, Sequence
from typing import Any

from rowcast.errors import InvalidField


def flattened(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return messages whose `content` is a string."""
    return [_flattened(at, message) for at, message in enumerate(messages)]


def _flattened(at: int, message: Mapping[str, Any]) -> dict[str, Any]:
    plain: dict[str, Any] = without_null(message)
    if isinstance(message["content"], list):
        plain["content"] = "\n".join(
            _text(part, f"messages[{at}].content[{number}]")
            for number, part in enumerate(message["content"])
        )
    return plain


def _text(part: Mapping[str, Any], field: str) -> str:
    if part["type"] in {"text", "refusal"}:
        return str(part[part["type"]])
    raise InvalidField(field, "is an image; send text: this model reads text only")


def without_null(value: Any) -> Any:
    """Return a JSON value without the null members of its objects."""
    if isinstance(value, Mapping):
        return {name: without_null(each) for name, each in value.items() if each is not None}
    return [without_null(each) for each in value] if isinstance(value, list) else value
