"""The OpenAPI operation of the rows, and the types of its answer."""

from typing import Literal

from msgspec import UNSET, Struct, UnsetType

from rowcast.frontend.api.openai.openapi import ERROR
from rowcast.frontend.api.operation import EVENTS, JSON, READ_ERRORS, Operation, event, reference
from rowcast.models.messages import State
from rowcast.wire import Phase


class Row(Struct, kw_only=True):
    """An occupied row. What it computes is shown only to the team that owns it."""

    row: int
    own: bool
    stream: str | UnsetType = UNSET  # as in X-Stream-ID, and in the ids of OpenAI's answers
    phase: Phase | UnsetType = UNSET
    prompt_tokens: int | UnsetType = UNSET
    reply_tokens: int | UnsetType = UNSET


class WaitingPrompts(Struct, kw_only=True):
    """Prompts without a row."""

    own: int
    all: int


class SavedPrompts(Struct, kw_only=True):
    """Prompt tokens of all teams that may share computed prefixes, and those of them that did."""

    looked_up: int
    found: int


class ModelRows(Struct, kw_only=True):
    """A model and its rows; none are listed until its backend has reported them."""

    id: str
    state: State
    steps: int
    tokens_per_second: float
    rows: list[Row | None]  # null: it is free
    waiting: WaitingPrompts
    prefixes: SavedPrompts | UnsetType = UNSET  # for administrators only


class RowsOfModels(Struct, kw_only=True):
    """The answer of GET /v1/rows."""

    object: Literal["rows"] = "rows"
    models: list[ModelRows]


OPERATIONS = (
    Operation(
        method="get",
        path="/v1/rows",
        tag="rows",
        summary="The rows of all models; as an event stream, once a second",
        answers={JSON: RowsOfModels, EVENTS: event(reference(RowsOfModels))},
        error=ERROR,
        errors=READ_ERRORS,
    ),
)
