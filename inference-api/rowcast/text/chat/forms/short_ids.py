"""Ids of calls as Mistral's templates take them: nine letters and digits, and nothing else.

Clients send back the ids that servers made, of any form. An id of another form becomes one that
follows from it, in the call and in its result.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from typing import Any

_SHORT = re.compile(r"[A-Za-z0-9]{9}")


def with_short_ids(messages: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return messages whose calls and results have short ids."""
    return [_shortened(message) for message in messages]


def _shortened(message: Mapping[str, Any]) -> dict[str, Any]:
    changed = dict(message)
    if "tool_call_id" in changed:
        changed["tool_call_id"] = short_id(changed["tool_call_id"])
    if changed.get("tool_calls"):
        changed["tool_calls"] = [
            {**call, "id": short_id(call["id"])} for call in changed["tool_calls"]
        ]
    return changed


def short_id(name: str) -> str:
    """Return an id of nine letters and digits; one that has that form stays."""
    if _SHORT.fullmatch(name):
        return name
    return hashlib.blake2b(name.encode(), digest_size=16).hexdigest()[:9]
