"""Requests a recomputation from a server.

In: a receipt, of which only the question is sent. Out: the server's own receipt of the recomputed
replies, and the texts; or `Refused`, `OtherBuild`, `Unreachable`, with the reason.
"""

from __future__ import annotations

import http.client
import json
import urllib.error
import urllib.request
from dataclasses import dataclass, field
from typing import Any

from commands.replay.receipt import NoReceipt, Receipt

PATH = "/v1/replay"
BUILD = ("build", "context_length")


class Refused(Exception):
    """The server does not compute it, at least not now."""


class OtherBuild(Refused):
    """Another build serves."""


class Unreachable(Refused):
    """No server answers, or its answer cannot be parsed."""


@dataclass(frozen=True, slots=True)
class Replayed:
    """The server's recomputed replies."""

    receipt: Receipt
    texts: list[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """The server to send to."""

    url: str
    token: str | None = field(repr=False)
    seconds: float

    def replay(self, receipt: Receipt, *, any_build: bool = False) -> Replayed:
        """Send the same question again."""
        answer = self._post(question_of(receipt, any_build=any_build))
        try:
            replayed = Replayed(Receipt.read(answer["receipt"]), list(map(str, answer["texts"])))
        except (NoReceipt, KeyError, TypeError) as error:
            raise Unreachable(f"{self.url} returned no receipt: {error}") from None
        if len(replayed.receipt.replies) != len(receipt.replies):
            raise Unreachable(f"{self.url} returned a different number of replies")
        return replayed

    def _post(self, question: dict[str, Any]) -> Any:
        headers = {"Content-Type": "application/json", "User-Agent": "rowcast-replay"}
        if self.token:
            headers["Authorization"] = f"Bearer {self.token.removeprefix('Bearer ')}"
        body = json.dumps(question, separators=(",", ":")).encode()
        request = urllib.request.Request(self.url.rstrip("/") + PATH, body, headers)  # noqa: S310
        try:
            with urllib.request.urlopen(request, timeout=self.seconds) as answer:  # noqa: S310
                return json.load(answer)
        except urllib.error.HTTPError as error:
            raise _refusal(error) from None
        except (OSError, ValueError, http.client.HTTPException) as error:
            why = error.reason if isinstance(error, urllib.error.URLError) else error
            raise Unreachable(f"{self.url} does not answer: {why}") from None


def question_of(receipt: Receipt, *, any_build: bool) -> dict[str, Any]:
    """Return what is sent: nothing from which the server could derive the answers."""
    left_out = BUILD if any_build else ()
    fields = {name: value for name, value in receipt.question.items() if name not in left_out}
    replies = [{"prompt": each.prompt, "choice": each.choice} for each in receipt.replies]
    return fields | {"replies": replies}


def _refusal(error: urllib.error.HTTPError) -> Refused:
    with error:
        body = error.read(4096).decode(errors="replace")
    try:
        message = json.loads(body)["error"]["message"]
    except (ValueError, KeyError, TypeError):
        message = body[:200]
    return (OtherBuild if error.code == 409 else Refused)(f"{error.code}: {message}")
