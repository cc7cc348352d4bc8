"""What every dialect is given: `open(prompt)` makes a reply's text of a validated prompt.

Joins the collaborators of this process (sessions, tokenizer, client watch) around one request: the
client is watched from the start, the first event decides the status, and when the
stream ends, however it does, the session is closed and one line is logged.
"""

import logging
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial

import gevent
from flask import Response, request

from rowcast.errors import NotReady, RowcastError
from rowcast.frontend.body import read_object
from rowcast.frontend.clients import ClientWatch
from rowcast.frontend.defaults import Defaults
from rowcast.frontend.identity import Caller, caller_of
from rowcast.frontend.prompt import Prompt
from rowcast.frontend.replies import Replies
from rowcast.frontend.sessions import Session, Sessions
from rowcast.frontend.streaming import NO_BUFFERING, ReplyText
from rowcast.log import quoted
from rowcast.settings import Settings
from rowcast.text.chat import ChatTemplate
from rowcast.text.tokenizer import Tokenizer
from rowcast.wire import Status, Submit

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
    chat: ChatTemplate = field(default_factory=ChatTemplate.plain)
    defaults: Defaults = field(default_factory=Defaults)  # the model's own

    @property
    def models(self) -> tuple[str, ...]:
        """The names under which the model is served."""
        return (self.settings.served_name, "falcon40b")

    def start(self) -> None:
        self.sessions.start()
        self.clients.start()

    def close(self) -> None:
        self.sessions.close()
        self.clients.close()

    def body(self, *, plain: bool = False) -> dict[str, object]:
        """The request's JSON object; `plain`: with JSON's own numbers."""
        settings = self.settings
        return read_object(request, settings.body_bytes, settings.body_seconds, plain=plain)

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

    def open(self, prompt: Prompt) -> ReplyText:
        """Submit a prompt; comes back when it is accepted, raises what it is refused with."""
        return self.open_all([prompt])[0]

    def open_all(self, prompts: Sequence[Prompt]) -> Replies:
        """Submit prompts with all their choices; all are accepted, or none."""
        watch, arrived = ExitStack(), threading.Event()
        replies: list[ReplyText] = []
        try:
            for prompt in prompts:
                sessions = self.sessions.open_all(_submits(prompt), arrived)
                replies += [self._reply(prompt, session, watch) for session in sessions]
        except RowcastError:
            for reply in replies:
                reply.close()
            raise
        watch.callback(self._watch(lambda: self._leave(replies)))
        opened = Replies(replies, arrived)
        opened.verdict(VERDICT_SECONDS)
        return opened

    def _reply(self, prompt: Prompt, session: Session, watch: ExitStack) -> ReplyText:
        opened = time.monotonic()

        def close(reply: ReplyText) -> None:
            watch.close()
            self.sessions.close_session(session)
            _log_reply(prompt, reply, opened)

        return ReplyText(session, self.tokenizer.decoder(), prompt.stop, close)

    def _leave(self, replies: Sequence[ReplyText]) -> None:
        for reply in replies:
            self.sessions.close_session(reply.session, "the client went away")

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
        for choice in range(prompt.choices)
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
