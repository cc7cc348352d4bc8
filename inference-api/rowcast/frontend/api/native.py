"""The native dialect: text in, raw text out as it is generated.

    POST /predictions/<model>, /inference/<model>, /     text/plain chunks, or {"answer": …};
                                                         the route of / is in `generate`
    POST /chat/<model>                                    server-sent events

`PARAMETERS` has the sampling parameters with default and bounds, `_read` the other fields;
`docs/api.md` describes all. A raw stream cannot carry an error, so a reply that fails is cut
without its last chunk.
"""

import contextlib
import re
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import msgspec

from rowcast.errors import InvalidField, StreamCut, UnknownModel
from rowcast.frontend.api.dialect import Api, Dialect, Route
from rowcast.frontend.api.documents.native import OPERATIONS
from rowcast.frontend.api.errors import error_body, error_event
from rowcast.frontend.api.events import (
    EVENT_STREAM,
    SEED_HEADER,
    SILENT,
    server_sent,
    stage_of,
    streamed,
    text_event,
    without_first,
)
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.models.waiting import ClaimOptions
from rowcast.frontend.reply.positions import Cursor, Position, Stage
from rowcast.frontend.reply.receipts import receipt_of
from rowcast.frontend.reply.text import Ending, ReplyText
from rowcast.frontend.request.deadline import LONGEST, SHORTEST
from rowcast.frontend.request.fields import Fields
from rowcast.frontend.request.keep_alive import keep_alive_seconds
from rowcast.frontend.request.origin import Origin
from rowcast.frontend.request.prompt import SEEDS, Prompt
from rowcast.frontend.request.request import Request
from rowcast.frontend.response import Response, json_response
from rowcast.frontend.served_model import ServedModel
from rowcast.parameter import Native, Parameter
from rowcast.sampling_params import PARAMETERS, SamplingParams
from rowcast.text.stop import LONGEST as LONGEST_STOP
from rowcast.text.stop import StopSequences
from rowcast.wire import Status

ROWS = re.compile(r"/|/(predictions|inference|chat)/(?P<model>[^/]+)")
# The required one last: the order in which errors list the fields, and in which they are checked.
LISTED = sorted(PARAMETERS, key=lambda each: each.required)
SAMPLING = [(each, each.native) for each in LISTED if each.native]
FIELDS = (
    "text",
    *(each.name for each, _ in SAMPLING),
    "stop_sequence",
    "seed",
    "stream",
    "return_prompt",
    "receipt",
    "timeout",
    "keep_alive",
    "cache_salt",
    "session_id",
    "user_id",
)
MEANT = {
    "prompt": "text",
    "input": "text",
    "inputs": "text",
    "stop": "stop_sequence",
    "max_new_tokens": "max_tokens",
    "max_length": "max_tokens",
}


@dataclass(frozen=True, slots=True)
class NativeRequest:
    """A parsed body."""

    model: ServedModel
    origin: Origin
    prompt: Prompt
    before: str  # text before the reply: the prompt, when requested
    stream: bool
    build: Status | None  # the build for the receipt; None: no receipt was requested


def routes(_: Api) -> Iterable[Route]:
    """Return the native routes."""
    plain = ("/predictions/<model>", "/inference/<model>")
    return (
        *(Route("POST", path, inference) for path in plain),
        Route("POST", "/chat/<model>", chat),
    )


def inference(frontend: Frontend, request: Request) -> Response:
    """Answer with the reply as raw text, or whole."""
    wanted = _read(frontend, request, events=False)
    _check_has_place(wanted)
    received = wanted.origin.received_bytes() if wanted.stream else 0
    reply = wanted.model.open(request, wanted.origin, wanted.prompt)
    if wanted.stream:
        chunks = _rest(wanted.origin, reply, wanted.before, received)
        return streamed(reply, chunks, "text/plain; charset=utf-8", wanted.prompt.seed)
    return _whole(reply, wanted)


def chat(frontend: Frontend, request: Request) -> Response:
    """Answer with the reply as events, or whole."""
    wanted = _read(frontend, request, events=True)
    start = Position.read(wanted.origin.start if wanted.stream else "", 1)
    reply = wanted.model.open(request, wanted.origin, wanted.prompt, start)
    if wanted.stream:
        silence = frontend.settings.comment_seconds
        chunks = _events(reply, wanted, Cursor(start), silence)
        return streamed(reply, chunks, EVENT_STREAM, wanted.prompt.seed)
    return _whole(reply, wanted)


def _check_model(frontend: Frontend, name: str) -> None:
    if name and name not in frontend.models.names:
        available = ", ".join(frontend.in_paths)
        raise UnknownModel(f"there is no model {name[:80]!r} here; available: {available}")


def _read(frontend: Frontend, request: Request, *, events: bool) -> NativeRequest:
    """Parse and validate the request's body. `events`: its stream would be an event stream."""
    name = request.names.get("model", "")
    _check_model(frontend, name)
    fields = Fields(request.body.json(), FIELDS, lenient=True, meant=MEANT)
    text = fields.required_text("text")
    fields.text("session_id")
    fields.text("user_id")
    stop = fields.text("stop_sequence", LONGEST_STOP)
    options = ClaimOptions(
        events=events and _may_stream(fields),
        keep_alive=keep_alive_seconds(fields.value("keep_alive")),
    )
    model = frontend.model(name or None, request, options)
    tokens = model.encode(request, text)
    origin = request.origin()
    prompt = Prompt(
        tokens=tokens,
        params=SamplingParams(**_sampling(fields, model)),
        seed=fields.integer("seed", origin.seed, 0, SEEDS - 1),
        stop=StopSequences([stop] if stop else ()),
        dialect="native",
        timeout=fields.number("timeout", LONGEST, SHORTEST, LONGEST),
        cache_salt=fields.text("cache_salt") or "",
    )
    before = text if fields.flag("return_prompt", False) else ""
    build = model.status() if fields.flag("receipt", False) else None
    return NativeRequest(model, origin, prompt, before, fields.flag("stream", True), build)


def _may_stream(fields: Fields) -> bool:
    """Return whether a stream is requested; `_read` reports a wrong value later."""
    with contextlib.suppress(InvalidField):
        return fields.flag("stream", True)
    return False


def _sampling(fields: Fields, model: ServedModel) -> dict[str, Any]:
    values = {each.name: _number(fields, each, native) for each, native in SAMPLING}
    if (tokens := model.generation.max_new_tokens) and fields.value("max_tokens") is None:
        values["max_tokens"] = tokens
    return values


def _number(fields: Fields, parameter: Parameter, native: Native) -> float:
    read: Callable[..., float] = fields.integer if parameter.type is int else fields.number
    return read(parameter.name, native.default, native.least, native.most)


def _check_has_place(wanted: NativeRequest) -> None:
    if wanted.stream and wanted.build is not None:
        problem = (
            "is not available in raw text; send stream: false, or use /chat/<model> for events"
        )
        raise InvalidField("receipt", problem)


def _raw(reply: ReplyText, before: str) -> Iterator[bytes]:
    """Yield the reply as it is generated; the first, empty, chunk sends the headers."""
    yield before.encode()
    for piece in reply.pieces():
        yield piece.encode()
    ending = _ending_of(reply)
    if not ending.whole:
        raise StreamCut(str(ending.failure))


def _rest(origin: Origin, reply: ReplyText, before: str, received: int) -> Iterator[bytes]:
    """Yield the reply after its first `received` bytes; refuse more than an ended reply has."""
    chunks = _raw(reply, before)
    if not received or origin.record is None or origin.record.state != "ended":
        return without_first(chunks, received)
    known = list(chunks)
    length = sum(map(len, known))
    if received > length:
        reply.close()
        raise InvalidField("from", f"is {received}; the body is complete and has {length} bytes")
    return without_first(iter(known), received)


def _events(
    reply: ReplyText, wanted: NativeRequest, cursor: Cursor, silence: float
) -> Iterator[bytes]:
    """Yield pieces as events, and a comment after each `silence` seconds without one."""
    yield b""
    if wanted.before and cursor.advance(0, 0, Stage.BEGUN):
        yield server_sent({"text": wanted.before}, place=cursor.id())
    for piece in reply.pieces(silence):
        if not piece:
            yield SILENT
        elif cursor.advance(0, reply.tokens, stage_of(reply)):
            yield text_event(piece, cursor.id())
    ending = _ending_of(reply)
    if ending.whole:
        yield server_sent(_summary(reply, ending, wanted), event="end")
    else:
        failure = ending.failure
        yield error_event(failure.status, str(failure), failure)


def _whole(reply: ReplyText, wanted: NativeRequest) -> Response:
    """Return the complete reply once it has ended."""
    with closing(reply):
        answer = wanted.before + reply.text()
        ending = _ending_of(reply)
        if not ending.whole:
            raise ending.failure
        response = json_response({"answer": answer, **_summary(reply, ending, wanted)})
    return response.with_headers({SEED_HEADER: str(wanted.prompt.seed)})


def _summary(reply: ReplyText, ending: Ending, wanted: NativeRequest) -> dict[str, object]:
    summary: dict[str, object] = {
        "finish_reason": ending.reason,
        "prompt_tokens": len(wanted.prompt.tokens),
        "cached_tokens": reply.cached_tokens(),
        "completion_tokens": ending.tokens,
        "seed": wanted.prompt.seed,
    }
    if wanted.build is not None:
        receipt = receipt_of(wanted.build, wanted.prompt.stop, [reply])
        summary["receipt"] = msgspec.to_builtins(receipt)
    return summary


def _ending_of(reply: ReplyText) -> Ending:
    return reply.ending or Ending("error", 0, "the stream was closed before its end")


DIALECT = Dialect(routes=routes, operations=OPERATIONS, error_body=error_body, rows=ROWS)
