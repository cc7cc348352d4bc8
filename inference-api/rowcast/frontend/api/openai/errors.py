"""Errors in OpenAI's format: `{"error": {"message", "type", "param", "code"}}`."""

import msgspec

from rowcast.errors import (
    BodyTooLarge,
    BuildChanged,
    DeadlinePassed,
    InvalidField,
    JournalFailing,
    KeyReused,
    NotReady,
    Overloaded,
    PromptTooLong,
    ReplyCancelled,
    ReplyFailed,
    RowcastError,
    Stopping,
    StreamCancelled,
    UnknownModel,
    UnknownResponse,
    UnknownStream,
)
from rowcast.frontend.api.events import event_of

_CODES: dict[type[RowcastError], str] = {
    PromptTooLong: "context_length_exceeded",
    UnknownModel: "model_not_found",
    UnknownStream: "stream_not_found",
    StreamCancelled: "stream_cancelled",
    BuildChanged: "build_changed",
    KeyReused: "idempotency_key_reused",
    JournalFailing: "journal_failing",
    BodyTooLarge: "request_too_large",
    Overloaded: "overloaded",
    NotReady: "not_ready",
    Stopping: "stopping",
    ReplyFailed: "reply_failed",
    ReplyCancelled: "reply_failed",
    DeadlinePassed: "deadline_exceeded",
}
_TYPES = {401: "authentication_error", 403: "permission_error", 429: "rate_limit_error"}


def error_body(status: int, message: str, error: Exception | None = None) -> dict[str, object]:
    """Return the body of an error."""
    return {"error": fault(status, message, error)}


def fault(status: int, message: str, error: Exception | None) -> dict[str, str | None]:
    """Return the object that describes an error."""
    return {
        "message": message,
        "type": _type_of(status),
        "param": _param_of(error),
        "code": _code_of(error),
    }


def error_event(status: int, message: str, error: Exception | None = None) -> bytes:
    """Return an error inside an event stream."""
    return event_of(msgspec.json.encode(error_body(status, message, error)))


def _type_of(status: int) -> str:
    if status in _TYPES:
        return _TYPES[status]
    return "server_error" if status >= 500 else "invalid_request_error"


def _code_of(error: Exception | None) -> str | None:
    if isinstance(error, UnknownResponse):
        return "previous_response_not_found" if error.field else "response_not_found"
    return _CODES.get(type(error)) if isinstance(error, RowcastError) else None


def _param_of(error: Exception | None) -> str | None:
    if isinstance(error, InvalidField | UnknownResponse):
        return error.field or None
    return "model" if isinstance(error, UnknownModel) else None
