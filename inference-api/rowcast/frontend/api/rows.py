"""The rows at work: those of the caller's team by stream, all others as occupied.

Only administrators get counts of tokens of all teams, which would show what others send.

    GET /v1/rows                               the rows of all models, as JSON
    GET /v1/rows, Accept: text/event-stream    the same object every second

A team's event streams are counted (ROW_WATCHERS). They end while the server, or this worker, stops;
a reader's EventSource then connects again.
"""

import threading
from collections.abc import Iterable, Iterator
from contextlib import ExitStack

import msgspec
from msgspec import UNSET

from rowcast.frontend.api.dialect import Api, Dialect, Route
from rowcast.frontend.api.documents.rows import (
    OPERATIONS,
    ModelRows,
    Row,
    RowsOfModels,
    SavedPrompts,
    WaitingPrompts,
)
from rowcast.frontend.api.events import EVENT_STREAM, NO_BUFFERING, event_of
from rowcast.frontend.api.openai.errors import error_body, error_event
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.request.identity import Caller
from rowcast.frontend.request.request import Request
from rowcast.frontend.response import CONTENT_TYPE, JSON, Response, whole
from rowcast.frontend.watching.dials import ModelView
from rowcast.wire import RowState

PATH = "/v1/rows"
SECONDS = 1.0  # between two events; backends report as often

_encode = msgspec.json.Encoder().encode


def routes(_: Api) -> Iterable[Route]:
    """Return the route."""
    return (Route("GET", PATH, rows),)


def rows(frontend: Frontend, request: Request) -> Response:
    """Answer with the rows, once or every second."""
    if (
        "text/event-stream" in request.headers.get("Accept", "").lower()
        and request.method != "HEAD"
    ):
        return _watched(frontend, request)
    return whole(_seen(frontend, request.caller) + b"\n", JSON).with_headers(
        {"Cache-Control": "no-store", "Vary": "Accept"}
    )


def _watched(frontend: Frontend, request: Request) -> Response:
    """Answer with an event stream that ends when the client leaves."""
    gone = threading.Event()
    with ExitStack() as entered:
        entered.enter_context(frontend.dials.reading(request.caller))
        entered.enter_context(request.watching(gone.set))
        return Response(
            body=_events(frontend, request.caller, gone),
            headers={**NO_BUFFERING, CONTENT_TYPE: EVENT_STREAM, "Vary": "Accept"},
            close=entered.pop_all().close,
        )


def _events(frontend: Frontend, caller: Caller, gone: threading.Event) -> Iterator[bytes]:
    while not gone.is_set() and not frontend.dials.stopping:
        yield event_of(_seen(frontend, caller))
        gone.wait(SECONDS)


def _seen(frontend: Frontend, caller: Caller) -> bytes:
    """Return what a caller sees, as JSON."""
    views = frontend.dials.models(caller)
    return _encode(RowsOfModels(models=[_model(each, counts=caller.admin) for each in views]))


def _model(view: ModelView, *, counts: bool) -> ModelRows:
    saved = SavedPrompts(looked_up=view.prefixes.looked_up, found=view.prefixes.found)
    return ModelRows(
        id=view.name,
        state=view.state,
        steps=view.steps,
        tokens_per_second=view.tokens_per_second,
        rows=[_row(each, own=each.row in view.own) if each else None for each in view.rows],
        waiting=WaitingPrompts(own=view.own_waiting, all=view.all_waiting),
        prefixes=saved if counts else UNSET,
    )


def _row(state: RowState, *, own: bool) -> Row:
    if not own:
        return Row(row=state.row, own=False)
    return Row(
        row=state.row,
        own=True,
        stream=state.stream,
        phase=state.phase,
        prompt_tokens=state.prompt_tokens,
        reply_tokens=state.reply_tokens,
    )


DIALECT = Dialect(
    routes=routes,
    operations=OPERATIONS,
    error_body=error_body,
    error_event=error_event,
    prefixes=(PATH,),
)
