"""Requests a recomputation from a server.

In: a receipt, of which only the question is sent. Out: the server's own receipt of the recomputed
replies, and the texts; or `Refused`, `OtherBuild`, `Unreachable`, with the reason.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from commands.replay.receipt import NoReceipt, Receipt
from http_client.json_server import JsonServer, Refused, Unreachable

PATH = "/v1/replay"
BUILD = ("build", "context_length")
OTHER_BUILD = 409  # status


class OtherBuild(Exception):
    """Another build serves."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """The server's recomputed replies."""

    receipt: Receipt
    texts: list[str]


def replay(server: JsonServer, receipt: Receipt, *, any_build: bool = False) -> Replayed:
    """Send the same question again."""
    answer = _post(server, question_of(receipt, any_build=any_build))
    try:
        replayed = Replayed(Receipt.read(answer["receipt"]), list(map(str, answer["texts"])))
    except (NoReceipt, KeyError, TypeError) as error:
        raise Unreachable(f"{server.url} returned no receipt: {error}") from None
    if len(replayed.receipt.replies) != len(receipt.replies):
        raise Unreachable(f"{server.url} returned a different number of replies")
    return replayed


def _post(server: JsonServer, question: dict[str, Any]) -> Any:
    try:
        return server.post(PATH, question)
    except Refused as problem:
        if problem.status == OTHER_BUILD:
            raise OtherBuild(str(problem)) from None
        raise


def question_of(receipt: Receipt, *, any_build: bool) -> dict[str, Any]:
    """Return what is sent: nothing from which the server could derive the answers."""
    left_out = BUILD if any_build else ()
    fields = {name: value for name, value in receipt.question.items() if name not in left_out}
    replies = [{"prompt": each.prompt, "choice": each.choice} for each in receipt.replies]
    return fields | {"replies": replies}
