"""The functions of the routes of files."""

import time
from collections.abc import Iterator

from rowcast.errors import InvalidField, Overloaded, UnknownRequest
from rowcast.frontend.api.batches.types import FileDeleted, FileList, file_object
from rowcast.frontend.api.batches.uploads import PURPOSE, upload_of
from rowcast.frontend.api.openai.response.response import json_answer
from rowcast.frontend.background.background import FULL_SECONDS
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.request.origin import fresh_id
from rowcast.frontend.request.query import whole_number
from rowcast.frontend.request.request import Request
from rowcast.frontend.response import CONTENT_TYPE, Response
from rowcast.journal.batches.files import FileTable, Order
from rowcast.journal.batches.record import StoredFile

PAGE, LONGEST_PAGE = 100, 1000
PART_BYTES = 1 << 20


def upload(frontend: Frontend, request: Request) -> Response:
    """Store a file; it is durable when this returns."""
    team, sent = request.caller.owner, upload_of(request)
    file = StoredFile(
        id=f"file-{fresh_id()}",
        team=team,
        purpose=PURPOSE,
        filename=sent.filename,
        size=len(sent.content),
        created=time.time(),
    )
    refusal = frontend.background.client.do(FileTable.add, file, sent.content)
    if refusal:
        raise Overloaded(refusal, FULL_SECONDS)
    return json_answer(file_object(found(frontend, request, file.id)))


def listed(frontend: Frontend, request: Request) -> Response:
    """Show a page of the team's files."""
    count = whole_number(request.query, "limit", PAGE, 1, LONGEST_PAGE)
    order = _order(request)
    team, after = request.caller.owner, request.query.get("after", "")
    purpose = request.query.get("purpose", "")
    files = frontend.background.client.do(FileTable.page, team, purpose, after, count + 1, order)
    data = [file_object(each) for each in files[:count]]
    return json_answer(
        FileList(
            data=data,
            first_id=data[0].id if data else None,
            last_id=data[-1].id if data else None,
            has_more=len(files) > count,
        )
    )


def retrieve(frontend: Frontend, request: Request) -> Response:
    """Show one file."""
    return json_answer(file_object(found(frontend, request, request.names["file"])))


def content(frontend: Frontend, request: Request) -> Response:
    """Answer with the bytes of a file."""
    file = found(frontend, request, request.names["file"])
    headers = {CONTENT_TYPE: "application/octet-stream", "Content-Length": str(file.size)}
    return Response(body=parts_of(frontend, file), headers=headers)


def delete(frontend: Frontend, request: Request) -> Response:
    """Delete a file. A batch that it has begun goes on."""
    file = found(frontend, request, request.names["file"])
    frontend.background.client.do(FileTable.delete, file.id, file.team)
    return json_answer(FileDeleted(id=file.id))


def found(frontend: Frontend, request: Request, named: str) -> StoredFile:
    """Return a file of the caller's team. Raises UnknownRequest."""
    file = frontend.background.client.do(FileTable.find, named, request.caller.owner)
    if file is None:
        raise UnknownRequest(f"there is no file {named[:80]!r} here, or it has expired")
    return file


def parts_of(frontend: Frontend, file: StoredFile) -> Iterator[bytes]:
    """Yield the content of a file. Raises UnknownRequest if it is deleted meanwhile."""
    for start in range(0, file.size, PART_BYTES):
        part = frontend.background.client.do(FileTable.part, file.id, file.team, start, PART_BYTES)
        if part is None:
            raise UnknownRequest(f"the file {file.id} was deleted while it was read")
        yield part


def _order(request: Request) -> Order:
    match request.query.get("order", "desc"):
        case "asc" | "desc" as order:
            return order
        case other:
            raise InvalidField("order", f"is {other[:40]!r}; send asc or desc")
