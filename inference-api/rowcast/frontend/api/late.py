"""Event streams that begin while their model is still being loaded.

    headers, then a comment after each COMMENT_SECONDS, then what the dialect's function returns

The function runs once the model is loaded. If it refuses the request, the stream ends with an error
event in the form of its dialect. Such a stream has no X-Rowcast-Seed: it is not known yet when its
headers are sent. Its X-Stream-ID is, since ids do not depend on the build, unless the request has
an idempotency key; the stream can be read by it from the moment at which it is accepted.
"""

import logging
from collections.abc import Callable, Generator, Iterator

from rowcast.errors import ReplyCancelled, RowcastError
from rowcast.frontend.api.errors import INTERNAL_ERROR
from rowcast.frontend.api.events import EVENT_STREAM, NO_BUFFERING, SILENT
from rowcast.frontend.models.waiting import Wait
from rowcast.frontend.request.request import Request
from rowcast.frontend.response import CONTENT_TYPE, Response

_log = logging.getLogger("rowcast.http")

ErrorEvent = Callable[[int, str, Exception | None], bytes]


def late(
    wait: Wait,
    request: Request,
    silence: float,
    call: Callable[[], Response],
    error_event: ErrorEvent,
) -> Response:
    """Answer with comments until the model may be used, then with what `call` returns."""
    chunks = _chunks(wait, request, silence, call, error_event)
    headers = {**NO_BUFFERING, CONTENT_TYPE: EVENT_STREAM}
    return Response(body=chunks, headers=headers, close=chunks.close)


def _chunks(
    wait: Wait,
    request: Request,
    silence: float,
    call: Callable[[], Response],
    error_event: ErrorEvent,
) -> Generator[bytes]:
    yield SILENT
    try:
        with request.watching(wait.client_left):
            while not wait.granted_within(silence):
                yield SILENT
        response = call()
    except ReplyCancelled as gone:
        _log.info("request=%s not answered reason=client_gone: %s", request.id, gone)
    except RowcastError as error:
        _log.info("request=%s refused after its headers: %s", request.id, error)
        yield error_event(error.status, str(error), error)
    except Exception as error:  # noqa: BLE001  # the status was sent
        _log.exception("request=%s unexpected error", request.id)
        yield error_event(500, INTERNAL_ERROR, error)
    else:
        yield from _body(response)


def _body(response: Response) -> Iterator[bytes]:
    try:
        yield from [response.body] if isinstance(response.body, bytes) else response.body
    finally:
        response.close()
