"""Reads an uploaded file from a body of multipart/form-data."""

from dataclasses import dataclass
from io import BytesIO
from typing import IO, Any

from werkzeug.exceptions import RequestEntityTooLarge
from werkzeug.formparser import MultiPartParser
from werkzeug.http import parse_options_header

from rowcast.errors import InvalidField, MalformedRequest
from rowcast.frontend.request.request import Request

PURPOSE = "batch"
PARTS = 16
LONGEST_NAME = 255


@dataclass(frozen=True, slots=True)
class Upload:
    """A file as it was sent."""

    filename: str
    content: bytes


def upload_of(request: Request) -> Upload:
    """Return the file in a request. Raises MalformedRequest and InvalidField."""
    kind, options = parse_options_header(request.headers.get("Content-Type"))
    boundary = options.get("boundary", "")
    if kind != "multipart/form-data" or not boundary:
        raise MalformedRequest(
            "a file is sent as multipart/form-data with the parts `purpose` and `file`, as "
            "`curl -F purpose=batch -F file=@requests.jsonl` sends it"
        )
    body = request.body.read()
    parser = MultiPartParser(stream_factory=_in_memory, max_form_parts=PARTS)
    try:
        form, files = parser.parse(BytesIO(body), boundary.encode(), len(body))
    except (ValueError, RequestEntityTooLarge) as error:
        raise MalformedRequest(
            f"the body is not valid multipart/form-data of at most {PARTS} parts"
        ) from error
    if form.get("purpose") != PURPOSE:
        raise InvalidField("purpose", f"is not {PURPOSE!r}, the only purpose of files here")
    if (file := files.get("file")) is None:
        raise InvalidField("file", "is missing; send it as a part with a filename")
    return Upload((file.filename or "")[:LONGEST_NAME], file.stream.read())


def _in_memory(*_: Any, **__: Any) -> IO[bytes]:
    """Return where a part is stored; the whole body is in memory already."""
    return BytesIO()
