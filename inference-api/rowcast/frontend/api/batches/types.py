"""Files and batches in OpenAI's form."""

from typing import Annotated, Literal

import msgspec
from msgspec import Struct

from rowcast.journal.batches.record import Batch, StoredFile

DAY = 86400

Key = Annotated[str, msgspec.Meta(max_length=64)]
Value = Annotated[str, msgspec.Meta(max_length=512)]
Metadata = Annotated[dict[Key, Value], msgspec.Meta(max_length=16)]
Name = Annotated[str, msgspec.Meta(min_length=1, max_length=128)]
Endpoint = Literal[
    "/v1/chat/completions", "/v1/completions", "/v1/embeddings", "/v1/responses"
]  # as far as this server has them


class BatchBody(Struct, kw_only=True):
    """POST /v1/batches."""

    input_file_id: Name
    endpoint: Endpoint
    completion_window: Literal["24h"]
    metadata: Metadata | None = None


class FileObject(Struct, kw_only=True):
    """A file, without its content."""

    id: str
    object: Literal["file"] = "file"
    bytes: int
    created_at: int
    expires_at: int
    filename: str
    purpose: Literal["batch", "batch_output"]
    status: Literal["processed"] = "processed"


class FileDeleted(Struct, kw_only=True):
    """DELETE /v1/files/<file>."""

    id: str
    object: Literal["file"] = "file"
    deleted: Literal[True] = True


class FileList(Struct, kw_only=True):
    """GET /v1/files."""

    object: Literal["list"] = "list"
    data: list[FileObject]
    first_id: str | None
    last_id: str | None
    has_more: bool


class LineError(Struct, kw_only=True):
    """What is wrong with a line of a batch's file."""

    code: str
    message: str
    line: int | None = None
    param: str | None = None


class LineErrors(Struct, kw_only=True):
    """Why no line of a batch is computed."""

    object: Literal["list"] = "list"
    data: list[LineError]


class RequestCounts(Struct, kw_only=True):
    """How many lines a batch has, and how they have ended."""

    total: int
    completed: int
    failed: int


class BatchObject(Struct, kw_only=True):
    """A batch. Times are seconds since 1970."""

    id: str
    object: Literal["batch"] = "batch"
    endpoint: str
    errors: LineErrors | None
    input_file_id: str
    completion_window: str
    status: Literal["in_progress", "completed", "failed", "cancelled"]
    output_file_id: str | None
    error_file_id: str | None
    created_at: int
    in_progress_at: int
    expires_at: int
    finalizing_at: int | None
    completed_at: int | None
    failed_at: int | None
    expired_at: None = None
    cancelling_at: int | None
    cancelled_at: int | None
    request_counts: RequestCounts
    metadata: Metadata | None


class BatchList(Struct, kw_only=True):
    """GET /v1/batches."""

    object: Literal["list"] = "list"
    data: list[BatchObject]
    first_id: str | None
    last_id: str | None
    has_more: bool


def file_object(file: StoredFile) -> FileObject:
    """Return a file as clients see it."""
    return FileObject(
        id=file.id,
        bytes=file.size,
        created_at=int(file.created),
        expires_at=int(file.expires),
        filename=file.filename,
        purpose="batch" if file.purpose == "batch" else "batch_output",
    )


def batch_object(batch: Batch) -> BatchObject:
    """Return a batch as clients see it."""
    ended = None if batch.ended is None else int(batch.ended)
    errors = msgspec.json.decode(batch.errors, type=LineErrors) if batch.errors else None
    return BatchObject(
        id=batch.id,
        endpoint=batch.endpoint,
        errors=errors,
        input_file_id=batch.input_file,
        completion_window=batch.window,
        status=batch.phase,
        output_file_id=batch.output_file or None,
        error_file_id=batch.error_file or None,
        created_at=int(batch.created),
        in_progress_at=int(batch.created),
        expires_at=int(batch.created) + DAY,
        finalizing_at=ended if batch.phase == "completed" else None,
        completed_at=ended if batch.phase == "completed" else None,
        failed_at=ended if batch.phase == "failed" else None,
        cancelling_at=None if batch.cancelling is None else int(batch.cancelling),
        cancelled_at=ended if batch.phase == "cancelled" else None,
        request_counts=RequestCounts(
            total=batch.total, completed=batch.completed, failed=batch.failed
        ),
        metadata=msgspec.json.decode(batch.metadata, type=Metadata | None),
    )
