"""The functions of the routes of batches."""

import time
from dataclasses import replace
from typing import get_args

import msgspec

from rowcast.errors import InvalidField, UnknownRequest
from rowcast.frontend.api.batches.files import found, parts_of
from rowcast.frontend.api.batches.lines import Reader
from rowcast.frontend.api.batches.types import (
    BatchBody,
    BatchList,
    Endpoint,
    LineErrors,
    batch_object,
)
from rowcast.frontend.api.batches.uploads import PURPOSE
from rowcast.frontend.api.bodies.parsing import as_struct
from rowcast.frontend.api.dialect import Api
from rowcast.frontend.api.openai.response.response import json_answer
from rowcast.frontend.background.background import id_of
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.request.origin import key_of
from rowcast.frontend.request.query import whole_number
from rowcast.frontend.request.request import Request
from rowcast.frontend.response import Response
from rowcast.journal.batches.record import Batch
from rowcast.journal.batches.table import BatchTable

PAGE = 100  # batches in a page, by default and at most


def create(api: Api, frontend: Frontend, request: Request) -> Response:
    """Queue the lines of a file; they are durable when this returns."""
    body = as_struct(request.body.json(plain=True), BatchBody)
    _check(api, body)
    file = found(frontend, request, body.input_file_id)
    if file.purpose != PURPOSE:
        raise InvalidField("input_file_id", f"names a file whose purpose is not {PURPOSE!r}")
    batch = _batch(request, body)
    reader = Reader(batch, request.caller.token_id)
    reader.read(b"".join(parts_of(frontend, file)))
    if reader.errors:
        errors = msgspec.json.encode(LineErrors(data=reader.errors))
        batch = replace(batch, phase="failed", errors=errors)
        frontend.background.begin_batch(batch, ())
    else:
        batch = replace(batch, total=len(reader.requests))
        frontend.background.begin_batch(batch, reader.requests)
    return _shown(frontend, request, batch.id)


def listed(frontend: Frontend, request: Request) -> Response:
    """Show a page of the team's batches, the latest first."""
    count = whole_number(request.query, "limit", PAGE, 1, PAGE)
    after = request.query.get("after", "")
    batches = frontend.background.client.do(BatchTable.page, request.caller.owner, after, count + 1)
    data = [batch_object(each) for each in batches[:count]]
    return json_answer(
        BatchList(
            data=data,
            first_id=data[0].id if data else None,
            last_id=data[-1].id if data else None,
            has_more=len(batches) > count,
        )
    )


def retrieve(frontend: Frontend, request: Request) -> Response:
    """Show the progress of a batch."""
    return _shown(frontend, request, request.names["batch"])


def cancel(frontend: Frontend, request: Request) -> Response:
    """End a batch with what was computed; one that has ended stays as it is."""
    named = request.names["batch"]
    frontend.background.client.do(BatchTable.cancel, named, request.caller.owner)
    frontend.background.wake()
    return _shown(frontend, request, named)


def _shown(frontend: Frontend, request: Request, named: str) -> Response:
    """Show a batch of the caller's team. Raises UnknownRequest."""
    batch = frontend.background.client.do(BatchTable.find, named, request.caller.owner)
    if batch is None:
        raise UnknownRequest(f"there is no batch {named[:80]!r} here, or it has expired")
    return json_answer(batch_object(batch))


def _batch(request: Request, body: BatchBody) -> Batch:
    team, key = request.caller.owner, key_of(request.headers)
    return Batch(
        id=f"batch_{id_of(team, PURPOSE, key)}",
        team=team,
        endpoint=body.endpoint,
        input_file=body.input_file_id,
        window=body.completion_window,
        metadata=msgspec.json.encode(body.metadata),
        created=time.time(),
        total=0,
    )


def _check(api: Api, body: BatchBody) -> None:
    """Refuse endpoints that are not served here."""
    names = {at.name for at in api.routes}
    served = [each for each in get_args(Endpoint) if f"POST {each}" in names]
    if body.endpoint not in served:
        raise InvalidField("endpoint", f"is {body.endpoint!r}; send one of {', '.join(served)}")
