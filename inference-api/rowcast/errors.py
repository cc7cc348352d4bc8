"""Every error that Rowcast raises on purpose, as one tree.

    RowcastError
    ├── RequestError          the caller's fault; the message says what to change    4xx
    │   ├── MalformedRequest, InvalidField, PromptTooLong, TooCostly                 400
    │   ├── Forbidden                                                                403
    │   ├── UnknownModel, UnknownStream (UnknownResponse), UnknownRequest            404
    │   ├── BuildChanged, KeyReused 409, StreamCancelled 410
    │   └── BodyTimeout 408, BodyTooLarge 413, CodedBody 415
    ├── Unavailable           nobody's fault; retry after `retry_after` seconds      503
    │   ├── Overloaded        the waiting line is full
    │   ├── NotReady          no backend is connected, or it is silent
    │   ├── JournalFailing    the journal cannot be read or written
    │   └── Stopping          the server finishes its open streams and ends
    ├── ProxyUnknown          the proxy does not know this server's secret           502
    ├── ReplyFailed           an accepted reply ended with reason `error`            500
    │   ├── ReplyCancelled    no client waits for it any more
    │   └── DeadlinePassed    it took longer than its request allows                 504
    ├── StreamCut             ends a connection in the middle of a body, on purpose
    └── PeerGone              the other side of a transport has ended

Dialects turn these into their own bodies; `status` is the HTTP status in all of them.
"""

import errno


class RowcastError(Exception):
    """The root of all errors. Its text is a sentence for the person who reads it."""

    status = 500


class RequestError(RowcastError):
    """The caller's fault: the text says what to change."""

    status = 400


class MalformedRequest(RequestError):
    """The request cannot be parsed: framing, JSON, encoding."""


class InvalidField(RequestError):
    """One field of the body has an invalid value; `field` names it."""

    def __init__(self, field: str, problem: str) -> None:
        super().__init__(f"{field} {problem}")
        self.field = field
        self.problem = problem


class PromptTooLong(RequestError):
    """The prompt leaves no room for a reply in the model's context."""


class TooCostly(RequestError):
    """Something in the request needs more time, memory or stack than one request is allowed."""


class Forbidden(RequestError):
    """The caller, or its way of connecting, is not allowed here."""

    status = 403


class UnknownModel(RequestError):
    """The path or body names a model that is not served here."""

    status = 404


class UnknownStream(RequestError):
    """The stream does not exist, has expired, or belongs to another team."""

    status = 404


class UnknownResponse(UnknownStream):
    """The same for a stored response; `field` is the body's field that names it, if one does."""

    def __init__(self, problem: str, field: str = "") -> None:
        super().__init__(problem)
        self.field = field


class UnknownRequest(RequestError):
    """The background request does not exist, has expired, or belongs to another team."""

    status = 404


class BuildChanged(RequestError):
    """The reply was begun by, or its receipt names, another build, which may reply differently."""

    status = 409

    def __init__(self, problem: str, build: str = "") -> None:
        """`build`: the one that began it, if the request may be sent to that."""
        super().__init__(problem)
        self.build = build


class StreamCancelled(RequestError):
    """The stream was cancelled; nothing of it is stored."""

    status = 410


class KeyReused(RequestError):
    """The idempotency key belongs to another request."""

    status = 409


class BodyTimeout(RequestError):
    """The body did not arrive in time."""

    status = 408


class BodyTooLarge(RequestError):
    """The body is larger than the limit."""

    status = 413


class CodedBody(RequestError):
    """The body is compressed or otherwise encoded."""

    status = 415


class Unavailable(RowcastError):
    """The server cannot accept the request now; the same request may work later."""

    status = 503

    def __init__(self, problem: str, retry_after: int = 1) -> None:
        super().__init__(problem)
        self.retry_after = retry_after


class Overloaded(Unavailable):
    """Every row is taken and the waiting line is full."""


def full_line(waiting: int, room: int, *, of_team: bool = False) -> str:
    """Return the message for a full waiting line; `of_team` if the team has used up its part."""
    if room:
        return f"there is room for {room} more replies; request fewer, or try again later"
    if of_team:
        return (
            f"{waiting} prompts of your team are waiting, which is the limit while other teams "
            "wait; try again later"
        )
    return f"{waiting} prompts are waiting, which is the limit; try again later"


class NotReady(Unavailable):
    """No backend is connected, or the connected one has gone silent."""


class JournalFailing(Unavailable):
    """The journal cannot be read or written now."""


class Stopping(Unavailable):
    """The server is finishing its open streams before it ends."""


class ProxyUnknown(RowcastError):
    """The request comes through a proxy that does not share this server's secret."""

    status = 502


class ReplyFailed(RowcastError):
    """An accepted reply ended with reason `error`."""


class ReplyCancelled(ReplyFailed):
    """The client went away, or the stream was cancelled or is read elsewhere."""


class DeadlinePassed(ReplyFailed):
    """The reply took longer than its request allows."""

    status = 504


class StreamCut(RowcastError, OSError):
    """Ends a connection inside its body, so that a part is never mistaken for the whole.

    It is an OSError with EPIPE because gunicorn silently treats that as the end of a connection: no
    last chunk is written.
    """

    def __init__(self, problem: str) -> None:
        super().__init__(errno.EPIPE, problem)


class PeerGone(RowcastError):
    """The other side of a transport has ended: EOF, reset, or it no longer reads."""
