"""The rows of a running server, as `GET /v1/rows` describes them.

In: the server. Out: a `Report`. Text of the server is made printable, so that nothing in it can
control the terminal.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from http_client.json_server import JsonServer, Unreachable

PATH = "/v1/rows"


@dataclass(frozen=True, slots=True)
class Row:
    """An occupied row. Only own rows have a stream and counts."""

    number: int
    own: bool
    stream: str = ""
    phase: str = ""
    prompt_tokens: int = 0
    reply_tokens: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelRows:
    """A model and its rows; None stands for a free one."""

    name: str
    state: str
    steps: int
    tokens_per_second: float
    rows: tuple[Row | None, ...]
    own_waiting: int
    all_waiting: int
    looked_up: int  # prompt tokens that may share computed prefixes; 0 if the server shows none
    found: int

    @property
    def own(self) -> tuple[Row, ...]:
        return tuple(row for row in self.rows if row and row.own)

    @property
    def seated(self) -> int:
        return sum(row is not None for row in self.rows)


Report = tuple[ModelRows, ...]


def report_of(server: JsonServer) -> Report:
    """Return the rows of all models. Raises Refused and Unreachable."""
    answer = server.get(PATH)
    try:
        return tuple(_model(each) for each in answer["models"])
    except (KeyError, TypeError, ValueError) as error:
        raise Unreachable(f"{server.url} returned no rows: {error!r}") from None


def printable(text: object) -> str:
    """Return a text on one line, without anything that controls a terminal."""
    return "".join(each if each.isprintable() else "?" for each in str(text))


def _model(fields: dict[str, Any]) -> ModelRows:
    waiting, prefixes = fields["waiting"], fields.get("prefixes", {})
    return ModelRows(
        name=printable(fields["id"]),
        state=printable(fields["state"]),
        steps=int(fields["steps"]),
        tokens_per_second=float(fields["tokens_per_second"]),
        rows=tuple(_row(each) if each else None for each in fields["rows"]),
        own_waiting=int(waiting["own"]),
        all_waiting=int(waiting["all"]),
        looked_up=int(prefixes.get("looked_up", 0)),
        found=int(prefixes.get("found", 0)),
    )


def _row(fields: dict[str, Any]) -> Row:
    return Row(
        int(fields["row"]),
        bool(fields["own"]),
        printable(fields.get("stream", "")),
        printable(fields.get("phase", "")),
        int(fields.get("prompt_tokens", 0)),
        int(fields.get("reply_tokens", 0)),
    )
