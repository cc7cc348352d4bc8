"""What every dialect is given: `open(prompt)` makes a reply's text of a validated prompt.

Joins the collaborators of this process (sessions, tokenizer, client watch) around one request: the
client is watched from the start, the first event decides the status, and when the
stream ends, however it does, the session is closed and one line is logged.
"""

import logging
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

import gevent
from flask import Response, g, request

from rowcast.errors import NotReady
from rowcast.frontend.body import parse_object, read_body
from rowcast.frontend.clients import WENT_AWAY, ClientWatch
from rowcast.frontend.deadlines import Deadline
from rowcast.frontend.defaults import Defaults
from rowcast.frontend.identity import Caller, caller_of
from rowcast.frontend.origin import KEY_HEADER, Origin, key_of
from rowcast.frontend.positions import Mark, Position
from rowcast.frontend.prompt import Prompt
from rowcast.frontend.replies import Replies
from rowcast.frontend.session import Session
from rowcast.frontend.sessions import Sessions
from rowcast.frontend.stream import Stream
from rowcast.frontend.streaming import NO_BUFFERING, ReplyText
from rowcast.frontend.streams import Asking, Streams
from rowcast.frontend.tending import Tending
from rowcast.log import quoted
from rowcast.settings import Settings
from rowcast.text.chat import ChatTemplate
from rowcast.text.tokenizer import Tokenizer
from rowcast.wire import Finished, FinishReason, Status, Submit

_log = logging.getLogger("rowcast.request")

VERDICT_SECONDS = 10.0
LONG_TEXT = 2000  # characters; a hop to another thread costs as much as tokenizing some hundred


@dataclass(frozen=True, slots=True)
class Frontend:
    """One frontend process."""

    settings: Settings
    sessions: Sessions
    tokenizer: Tokenizer
    clients: ClientWatch
    streams: Streams
    tending: Tending | None = field(init=False)
    chat: ChatTemplate = field(default_factory=ChatTemplate.plain)
    defaults: Defaults = field(default_factory=Defaults)  # the model's own

    def __post_init__(self) -> None:
        recorder = self.streams.recorder
        object.__setattr__(self, "tending", recorder and Tending(self.streams, recorder))

    @property
    def models(self) -> tuple[str, ...]:
        """The names under which the model is served."""
        return (self.settings.served_name, "falcon40b")

    def start(self) -> None:
        self.sessions.start()
        self.clients.start()
        if self.tending is not None:
            self.tending.start()

    def close(self) -> None:
        if self.tending is not None:
            self.tending.close()
        self.sessions.close()
        self.clients.close()

    def body(self, *, plain: bool = False) -> dict[str, object]:
        """The request's JSON object; `plain`: with JSON's own numbers."""
        return parse_object(self._body(), plain=plain)

    def check_room(self) -> None:
        """Where the line is full, a new request's body is not even looked at.

        Who asks by a key may only want what is known.
        """
        if KEY_HEADER not in request.headers:
            self._body()  # an answer before it was read would end the connection
            self.sessions.check_room()

    def origin(self) -> Origin:
        """What the reply to this request comes from."""
        if "origin" not in g:
            key = key_of(request.headers)
            g.origin = Origin.fresh(request.path, self._body(), key, self.caller().team)
        origin: Origin = g.origin
        return origin

    def _body(self) -> bytes:
        """The request's bytes, or those of the one that is asked for again."""
        if "origin" in g:
            return self.origin().body
        if "body" not in g:
            g.body = read_body(request, self.settings.body_bytes, self.settings.body_seconds)
        body: bytes = g.body
        return body

    def status(self) -> Status:
        """What the backend serves. Raises NotReady when there is none."""
        health = self.sessions.health()
        if health.status is None:
            raise NotReady(health.reason)
        return health.status

    def caller(self) -> Caller:
        secret = self.settings.proxy_secret
        return caller_of(request.headers, secret.get_secret_value() if secret else None)

    def encode(self, text: str, *, special: bool = True) -> tuple[int, ...]:
        """The token ids of a text; a long one is tokenized beside the streams, not before them."""
        if len(text) < LONG_TEXT:
            return self.tokenizer.encode(text, special=special)
        pool = gevent.get_hub().threadpool
        tokens: tuple[int, ...] = pool.apply(partial(self.tokenizer.encode, text, special=special))
        return tokens

    def open(self, prompt: Prompt, start: Position | None = None) -> ReplyText:
        """Submit a prompt; comes back when it is accepted, raises what it is refused with."""
        return self.open_all([prompt], start)[0]

    def open_all(self, prompts: Sequence[Prompt], start: Position | None = None) -> Replies:
        """Submit prompts with all their choices; all are accepted, or none.

        `start`: what the reader has been told of them; a piece ends there.
        """
        deadline = Deadline.read(request.headers, prompts[0].timeout, g.began)
        asking = Asking(self.caller(), g.request_id, [_submits(prompt) for prompt in prompts])
        stream, watch = self.streams.open(self.origin(), asking), ExitStack()
        choices = [prompt for prompt in prompts for _ in prompt.choices]
        marks = start.marks if start else [Mark()] * len(choices)
        replies = [
            self._reply(prompt, stream, session, watch, mark.tokens)
            for prompt, session, mark in zip(choices, stream.sessions, marks, strict=True)
        ]
        watch.callback(self._watch(lambda: self._leave(replies, WENT_AWAY)))
        watch.callback(deadline.call(lambda: self._leave(replies, deadline.said, "deadline")))
        opened = Replies(replies, asking.arrived, stream.origin)
        opened.verdict(VERDICT_SECONDS)
        self.streams.keep(stream, asking)
        g.stream = stream.name
        return opened

    def _reply(
        self, prompt: Prompt, stream: Stream, session: Session, watch: ExitStack, pause: int
    ) -> ReplyText:
        opened = time.monotonic()

        def close(reply: ReplyText) -> None:
            watch.close()
            self.streams.left(stream, session, _whole_end(reply))
            _log_reply(prompt, reply, opened)

        decoder = self.tokenizer.decoder()
        return ReplyText(session, decoder, prompt.stop, close, pause=pause)

    def _leave(
        self, replies: Sequence[ReplyText], why: str, reason: FinishReason = "cancelled"
    ) -> None:
        for reply in replies:
            self.sessions.close_session(reply.session, why, reason)

    def _watch(self, gone: Callable[[], None]) -> Callable[[], None]:
        client = request.environ.get("gunicorn.socket")
        return self.clients.watch(client, gone) if client is not None else lambda: None


def streamed(
    reply: ReplyText | Replies, chunks: Iterator[bytes], content_type: str, seed: int
) -> Response:
    """A response that sends each of `chunks` as it comes, and closes the reply at its end."""
    response = Response(chunks, content_type=content_type, headers=NO_BUFFERING)
    response.headers["X-Rowcast-Seed"] = str(seed)
    response.call_on_close(reply.close)
    return response


def _whole_end(reply: ReplyText) -> Finished | None:
    ending = reply.ending
    if ending is None or not ending.whole:
        return None
    return Finished(*reply.session.submit.key, ending.tokens, ending.reason)


def _submits(prompt: Prompt) -> list[Submit]:
    return [
        Submit(
            session="",
            choice=choice,
            prompt=prompt.tokens,
            params=prompt.params,
            seed=prompt.seed,
            team=prompt.caller.team,
        )
        for choice in prompt.choices
    ]


def _log_reply(prompt: Prompt, reply: ReplyText, opened: float) -> None:
    now = time.monotonic()
    ending = reply.ending
    first = f"{(reply.first - opened) * 1000:.1f}" if reply.first else "-"
    _log.info(
        "request=%s session=%s team=%s token_id=%s dialect=%s prompt_tokens=%d reply_tokens=%d "
        "first_ms=%s total_ms=%.1f reason=%s",
        prompt.request_id,
        reply.session.submit.session,
        quoted(prompt.caller.team),
        quoted(prompt.caller.token_id),
        prompt.dialect,
        len(prompt.tokens),
        ending.tokens if ending else len(reply.session.tokens),
        first,
        (now - opened) * 1000,
        ending.reason if ending else "cancelled",
    )
