"""What every dialect is given: `open(prompt)` makes a reply's text of a validated prompt.

Joins the collaborators of this process (sessions, tokenizer, client watch) around one request: the
client is watched from the start, the first event decides the status, and when the
stream ends, however it does, the session is closed and one line is logged.
"""

import logging
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from flask import Response, request

from rowcast.frontend.body import read_object
from rowcast.frontend.clients import ClientWatch
from rowcast.frontend.identity import Caller, caller_of
from rowcast.frontend.prompt import Prompt
from rowcast.frontend.sessions import Sessions
from rowcast.frontend.streaming import NO_BUFFERING, ReplyText
from rowcast.log import quoted
from rowcast.settings import Settings
from rowcast.text.tokenizer import Tokenizer
from rowcast.wire import Submit

_log = logging.getLogger("rowcast.request")

VERDICT_SECONDS = 10.0


@dataclass(frozen=True, slots=True)
class Frontend:
    """One frontend process."""

    settings: Settings
    sessions: Sessions
    tokenizer: Tokenizer
    clients: ClientWatch

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

    def body(self) -> dict[str, object]:
        """The request's JSON object."""
        return read_object(request, self.settings.body_bytes, self.settings.body_seconds)

    def caller(self) -> Caller:
        secret = self.settings.proxy_secret
        return caller_of(request.headers, secret.get_secret_value() if secret else None)

    def open(self, prompt: Prompt) -> ReplyText:
        """Submit a prompt; comes back when it is accepted, raises what it is refused with."""
        opened = time.monotonic()
        session = self.sessions.open(
            Submit(
                session="",
                choice=0,
                prompt=prompt.tokens,
                params=prompt.params,
                seed=prompt.seed,
                team=prompt.caller.team,
            )
        )
        unwatch = self._watch(lambda: self.sessions.close_session(session, "the client went away"))

        def close(reply: ReplyText) -> None:
            unwatch()
            self.sessions.close_session(session)
            _log_reply(prompt, reply, opened)

        reply = ReplyText(session, self.tokenizer.decoder(), prompt.stop, close)
        reply.verdict(VERDICT_SECONDS)
        return reply

    def _watch(self, gone: Callable[[], None]) -> Callable[[], None]:
        client = request.environ.get("gunicorn.socket")
        return self.clients.watch(client, gone) if client is not None else lambda: None


def streamed(reply: ReplyText, chunks: Iterator[bytes], content_type: str) -> Response:
    """A response that sends each of `chunks` as it comes, and closes the reply at its end."""
    response = Response(chunks, content_type=content_type, headers=NO_BUFFERING)
    response.headers["X-Rowcast-Seed"] = str(reply.session.submit.seed)
    response.call_on_close(reply.close)
    return response


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
