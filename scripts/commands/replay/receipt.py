"""Finds a receipt in a user's file, and parses it.

In: a receipt, an answer that carries one, or the events of a stream that ends with one. Out: a
`Receipt`: the unchanged question, and the record of each reply. For a damaged one it says what is
wrong. Knows the form of receipts, and nothing of how replies are computed.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

VERSION = 1
ANSWERS = ("model", "replies")  # fields that are not part of the question
HEX = re.compile("([0-9a-f]{2})*")


class NoReceipt(Exception):
    """There is no receipt, or it is damaged; the text says what is wrong."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The record of one reply."""

    prompt: int
    choice: int
    finish_reason: str
    tokens: int
    digest: str
    trail: bytes

    @classmethod
    def read(cls, fields: dict[str, Any]) -> Reply:
        reply = cls(
            prompt=_field(fields, "prompt", int),
            choice=_field(fields, "choice", int),
            finish_reason=_field(fields, "finish_reason", str),
            tokens=_field(fields, "tokens", int),
            digest=_hex(fields, "digest").hex(),
            trail=_hex(fields, "trail"),
        )
        if len(reply.trail) != reply.tokens:
            raise NoReceipt(f"its trail has {len(reply.trail)} of {reply.tokens} tokens")
        if reply.trail and reply.trail[-1:].hex() != reply.digest[:2]:
            raise NoReceipt("its trail does not lead to its digest")
        return reply


@dataclass(frozen=True, slots=True)
class Receipt:
    """The question, and the records of the replies."""

    question: dict[str, Any]
    replies: tuple[Reply, ...]

    @classmethod
    def read(cls, fields: object) -> Receipt:
        if not isinstance(fields, dict):
            raise NoReceipt("it is not an object")
        if fields.get("version") != VERSION:
            raise NoReceipt(
                f"its version is {fields.get('version')!r}; this program reads {VERSION}"
            )
        replies = [_reply(each) for each in _field(fields, "replies", list)]
        if not replies:
            raise NoReceipt("it has no replies")
        question = {name: value for name, value in fields.items() if name not in ANSWERS}
        _field(question, "build", str)
        return cls(question, tuple(replies))

    @property
    def build(self) -> str:
        """The build that computed the replies."""
        context = self.question.get("context_length")
        return f"{self.question['build']} with a context of {context} tokens"


def find(text: str) -> Receipt:
    """Return the receipt that this text is, or contains."""
    found = list(_receipts(text))
    if not found:
        raise NoReceipt('no receipt found; request one with "receipt": true')
    if len(found) > 1:
        raise NoReceipt(f"found {len(found)} receipts; pass them one at a time")
    return Receipt.read(found[0])


def _receipts(text: str) -> Iterator[dict[str, Any]]:
    """Yield the receipts of one JSON object, or of the events of a stream."""
    whole = _parsed(text)
    datas = [line.partition(":")[2] for line in text.splitlines() if line.startswith("data:")]
    for each in [whole] if whole is not None else map(_parsed, datas):
        receipt = each if isinstance(each, dict) and "replies" in each else _inside(each)
        if isinstance(receipt, dict):
            yield receipt


def _inside(answer: object) -> object:
    return answer.get("receipt") if isinstance(answer, dict) else None


def _parsed(text: str) -> object:
    try:
        return json.loads(text)
    except ValueError:
        return None


def _reply(fields: object) -> Reply:
    if not isinstance(fields, dict):
        raise NoReceipt("one of its replies is not an object")
    return Reply.read(fields)


def _field(fields: dict[str, Any], name: str, kind: type) -> Any:
    value = fields.get(name)
    if type(value) is not kind:
        raise NoReceipt(f"its {name} is {json.dumps(value)[:40]}")
    return value


def _hex(fields: dict[str, Any], name: str) -> bytes:
    written = _field(fields, name, str)
    if not HEX.fullmatch(written):
        raise NoReceipt(f"its {name} is not in hexadecimal digits")
    return bytes.fromhex(written)
