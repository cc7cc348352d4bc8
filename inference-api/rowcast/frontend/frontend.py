"""What every dialect receives: `open(prompt)` turns a validated prompt into the text of a reply.

Joins the collaborators of this process (sessions, tokenizer, client watch) for one request. The
client is watched from the start, and the first event decides the status. When the stream ends, for
whatever reason, its choices are closed and its observers called; one of them logs a line.
"""

import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from typing import Concatenate, ParamSpec, TypeVar

from flask import Response, g, request

from rowcast.errors import NotReady, PromptTooLong
from rowcast.frontend.listening.pauses import Pauses
from rowcast.frontend.reply.observers import OBSERVERS, Observation, Observer
from rowcast.frontend.reply.positions import Mark, Position
from rowcast.frontend.reply.replies import Replies
from rowcast.frontend.reply.text import NO_BUFFERING, ReplyText
from rowcast.frontend.request.body import parse_object, read_body
from rowcast.frontend.request.deadline import Deadline
from rowcast.frontend.request.defaults import Defaults
from rowcast.frontend.request.identity import Caller, caller_of
from rowcast.frontend.request.origin import KEY_HEADER, Origin, key_of
from rowcast.frontend.request.prompt import Prompt
from rowcast.frontend.request.sizes import check_size
from rowcast.frontend.sessions.sessions import Sessions
from rowcast.offload import tasks
from rowcast.offload.pool import Client, Offload
from rowcast.offload.tasks import Tools
from rowcast.settings import SCRIPTED, Settings
from rowcast.text.chat.template import ChatTemplate
from rowcast.text.tokens.shown_tokens import decoder_for
from rowcast.text.tokens.tokenizer import Decoder, Tokenizer, decoded
from rowcast.wire import Status, Submit
from rowcast_http.client_watch import WENT_AWAY, ClientWatch

ALIAS = "falcon40b"  # another name of whatever is served
VERDICT_SECONDS = 10.0
LARGE_BODY = 1 << 16
PARSING_PAUSE = 0.001  # seconds in which the event loop serves all connections
LONG_TEXT = 2000  # characters; a call to a helper costs as much as tokenizing some hundred

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True)
class Frontend:
    """One frontend process."""

    settings: Settings
    sessions: Sessions
    tokenizer: Tokenizer
    clients: ClientWatch
    offload: Offload
    chat: ChatTemplate = field(default_factory=ChatTemplate.plain)
    defaults: Defaults = field(default_factory=Defaults)  # the model's own
    pauses: Pauses = field(default_factory=Pauses)
    observers: tuple[Observer, ...] = OBSERVERS
    # Serializes large bodies. Created late: this module is imported before gevent patches locks.
    parsing: threading.Lock = field(default_factory=lambda: threading.Lock())  # noqa: PLW0108

    @property
    def models(self) -> tuple[str, ...]:
        """The names of the served model, including those with slashes."""
        return (*self.settings.names, ALIAS)

    @property
    def models_listed(self) -> tuple[str, ...]:
        """The names shown to callers; no paths on this machine."""
        return (*self.settings.listed_names, ALIAS)

    @property
    def models_in_paths(self) -> tuple[str, ...]:
        """The names without a slash, which fit in a URL's path."""
        return tuple(name for name in self.models if "/" not in name)

    def start(self) -> None:
        self.sessions.start()
        self.clients.start()
        self.pauses.start()
        if self.settings.served_model != SCRIPTED:  # its users rarely need it, and start it often
            self.offload.start()

    def close(self) -> None:
        self.sessions.close()
        self.offload.close()
        self.clients.close()
        self.pauses.close()

    def body(self, *, plain: bool = False) -> dict[str, object]:
        """Return the request's JSON object. `plain`: with JSON's own numbers."""
        body = self._body()
        if len(body) < LARGE_BODY:
            return parse_object(body, plain=plain)
        with self.parsing:  # one at a time, with a pause for all other requests
            time.sleep(PARSING_PAUSE)
            return parse_object(body, plain=plain)

    def check_room(self) -> None:
        """Refuse a new request while the waiting line is full, without parsing its body.

        A request with an idempotency key is exempt: its reply may already be recorded.
        """
        if KEY_HEADER not in request.headers:
            self._body()  # an answer before the body is read would end the connection
            self.sessions.check_room(team=self.caller().team)

    def origin(self) -> Origin:
        """Return the origin of this request's reply."""
        if "origin" not in g:
            key = key_of(request.headers)
            g.origin = Origin.fresh(request.path, self._body(), key, self.caller().team)
        origin: Origin = g.origin
        return origin

    def _body(self) -> bytes:
        """Return the request's bytes; when a stream is resumed, those of the recorded request."""
        if "origin" in g:
            return self.origin().body
        if "body" not in g:
            g.body = read_body(request, self.settings.body_bytes, self.settings.body_seconds)
        body: bytes = g.body
        return body

    def status(self) -> Status:
        """Return the backend's status. Raises NotReady if there is no backend."""
        health = self.sessions.health()
        if health.status is None:
            raise NotReady(health.reason)
        return health.status

    def caller(self) -> Caller:
        secret = self.settings.proxy_secret
        return caller_of(request.headers, secret.get_secret_value() if secret else None)

    def encode(
        self, text: str, *, special: bool = True, for_prompt: bool = True
    ) -> tuple[int, ...]:
        """Return the token ids of a text. `for_prompt`: it must fit the model's context."""
        if len(text) < LONG_TEXT:
            return self.tokenizer.encode(text, special=special)
        most = self.context_length if for_prompt else None
        return tuple(self.elsewhere(tasks.encode, text, special, most))

    def decode(self, tokens: Sequence[int]) -> str:
        """Return the text of token ids. Raises PromptTooLong for more than a context holds."""
        most = self.context_length
        if most is not None and len(tokens) > most:
            raise PromptTooLong(
                f"{len(tokens)} tokens are more than the model's context holds, which is {most}"
            )
        if len(tokens) < LONG_TEXT:
            return decoded(self.tokenizer, tokens)
        return self.elsewhere(tasks.decode, tuple(tokens))

    def elsewhere(
        self,
        task: "Callable[Concatenate[Tools, _Arguments], _Result]",
        *arguments: _Arguments.args,
        **named: _Arguments.kwargs,
    ) -> _Result:
        """Run a task outside this process; stop it if the client leaves."""
        client = Client(self.caller().team, self._watching)
        return self.offload.run(client, task, *arguments, **named)

    @property
    def context_length(self) -> int | None:
        """The maximum number of tokens per row; None until a backend has reported it."""
        status = self.sessions.health().status
        return status.context_length if status else None

    def open(self, prompt: Prompt, start: Position | None = None) -> ReplyText:
        """Submit a prompt. Return once it is accepted; raise if it is refused."""
        return self.open_all([prompt], start)[0]

    def open_all(self, prompts: Sequence[Prompt], start: Position | None = None) -> Replies:
        """Submit prompts with all their choices; either all are accepted or none.

        `start`: the reader's position in them; a piece ends there.
        """
        deadline = Deadline.read(request.headers, prompts[0].timeout, g.began)
        submits = [_submits(prompt) for prompt in prompts]
        check_size(submits)
        session = self.sessions.open(self.origin(), self.caller(), g.request_id, submits)
        each = [prompt for prompt in prompts for _ in prompt.choices]  # the prompt of each choice
        observation = Observation(self.observers, each, session.choices)
        watch = ExitStack()

        def close(reply: ReplyText) -> None:
            watch.close()
            self.sessions.left(session, reply.choice, reply.whole_end)
            observation.end(reply)

        marks = start.marks if start else [Mark()] * len(each)
        replies = [
            ReplyText(choice, self._decoder(prompt), prompt.stop, close, pause=mark.tokens)
            for prompt, choice, mark in zip(each, session.choices, marks, strict=True)
        ]
        watch.callback(self._watch(lambda: self.sessions.end(session, WENT_AWAY)))
        watch.callback(deadline.call(lambda: self.sessions.end(session, deadline.said, "deadline")))
        opened = Replies(replies, session)
        opened.verdict(VERDICT_SECONDS)
        observation.begin()
        self.sessions.keep(session)
        g.stream = session.name
        return opened

    def _decoder(self, prompt: Prompt) -> Decoder:
        return decoder_for(self.tokenizer, prompt.shown)

    @contextmanager
    def _watching(self, gone: Callable[[], None]) -> Iterator[None]:
        unwatch = self._watch(gone)
        try:
            yield
        finally:
            unwatch()

    def _watch(self, gone: Callable[[], None]) -> Callable[[], None]:
        client = request.environ.get("gunicorn.socket")
        return self.clients.watch(client, gone) if client is not None else lambda: None


def streamed(
    reply: ReplyText | Replies, chunks: Iterator[bytes], content_type: str, seed: int
) -> Response:
    """Return a response that sends each chunk when it is ready, and closes the reply at its end."""
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
        for choice in prompt.choices
    ]
