"""Every answer that the proxy generates itself on failure, as one tree.

    Refusal
      BadRequest 400 · Unauthorized 401 · Forbidden 403 · NotFound 404 · MethodNotAllowed 405
      BodyTooSlow 408 · BodyTooLarge 413
      UpstreamBroken 502 · Unavailable 503 · UpstreamTimeout 504
    StreamCut    the head has been sent: the only remaining signal is to cut the connection

A refusal becomes `{"status_code", "message"}` with the same HTTP status; at the paths of OpenAI's
API `{"error": {…}}`, the only form that its clients read, and at those of Anthropic's its own.
Nothing here knows WSGI.
"""

import errno
import json
from typing import ClassVar, Final

from gunicorn.http.errors import InvalidResponseHeader, InvalidResponseHeaderName

_OPENAI_PATHS: Final = (
    "/v1/",
    "/v2/",
    "/tokenize",
    "/detokenize",
    "/chat/completions",
    "/completions",
    "/embeddings",
    "/models",
    "/rerank",
    "/responses",
)
_OPENAI_TYPES: Final = {401: "authentication_error", 403: "permission_error"}
_ANTHROPIC_TYPES: Final = _OPENAI_TYPES | {
    404: "not_found_error",
    413: "request_too_large",
    504: "timeout_error",
}


class Refusal(Exception):
    status: ClassVar[int] = 500
    reason: ClassVar[str] = "refused"
    ends_connection: ClassVar[bool] = False

    def __init__(self, message: str, *headers: tuple[str, str]) -> None:
        super().__init__(message)
        self.message = message
        self.headers = headers


class BadRequest(Refusal):
    status = 400
    reason = "bad_request"
    ends_connection = True


class Unauthorized(Refusal):
    """A missing or invalid token. Every failed check gives the same body, which reveals nothing."""

    status = 401
    reason = "unauthorized"

    def __init__(self, *, token_sent: bool, cause: str = "missing") -> None:
        """`cause`: which check failed, for metrics alone."""
        self.cause = cause
        challenge = 'Bearer error="invalid_token"' if token_sent else "Bearer"
        super().__init__(
            "A valid token is required: send the header 'Authorization: Bearer <token>', or "
            "'x-api-key: <token>'.",
            ("WWW-Authenticate", challenge),
        )


class Forbidden(Refusal):
    status = 403
    reason = "forbidden"


class NotFound(Refusal):
    status = 404
    reason = "not_found"


class MethodNotAllowed(Refusal):
    status = 405
    reason = "method_not_allowed"


class BodyTooSlow(Refusal):
    status = 408
    reason = "body_too_slow"


class BodyTooLarge(Refusal):
    status = 413
    reason = "body_too_large"


class UpstreamBroken(Refusal):
    status = 502
    reason = "upstream_broken"


class Unavailable(Refusal):
    status = 503
    reason = "unavailable"

    def __init__(self, message: str, *, retry_after: int = 2) -> None:
        super().__init__(message, ("Retry-After", str(retry_after)))


class UpstreamTimeout(Refusal):
    status = 504
    reason = "upstream_timeout"


class StreamCut(BrokenPipeError):
    """Ends a response whose head has been sent.

    gunicorn treats a broken pipe as a disconnected client: it logs nothing and closes the
    connection, so no final chunk suggests a clean end.
    """

    def __init__(self, reason: str) -> None:
        super().__init__(errno.EPIPE, reason)


def outcome_of(error: BaseException) -> tuple[int, str]:
    """Return status and reason, for log and counters, of a request that such an error has ended."""
    if isinstance(error, StreamCut):
        return 499, str(error.strerror)
    if isinstance(error, (InvalidResponseHeader, InvalidResponseHeaderName)):
        return 502, UpstreamBroken.reason
    return 500, "failed"


def error_body(status: int, message: str, path: str = "") -> bytes:
    """Return the body of a refusal, in the format that callers of `path` expect."""
    if path.startswith(_OPENAI_PATHS):
        return json.dumps({"error": _openai_error(status, message)}).encode()
    return json.dumps({"status_code": status, "message": message}).encode()


def is_of_anthropic(path: str, *, versioned: bool) -> bool:
    """True if callers of `path` expect Anthropic's format. `versioned`: with its version header."""
    return path.startswith("/v1/messages") or (versioned and path.startswith("/v1/models"))


def anthropic_body(status: int, message: str, request_id: str) -> bytes:
    """Return the body of a refusal in Anthropic's format."""
    other = "api_error" if status >= 500 else "invalid_request_error"
    error = {"type": _ANTHROPIC_TYPES.get(status, other), "message": message}
    return json.dumps({"type": "error", "error": error, "request_id": request_id}).encode()


def _openai_error(status: int, message: str) -> dict[str, str | None]:
    code = "invalid_api_key" if status == 401 else None
    kind = _OPENAI_TYPES.get(status, "server_error" if status >= 500 else "invalid_request_error")
    return {"message": message, "type": kind, "param": None, "code": code}
