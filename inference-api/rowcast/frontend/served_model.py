"""A served model: all that belongs to one model, and how its replies are computed.

    served.open_all(request, origin, prompts)  ──▶  the text of all replies

Joins its sessions and streams, tokenizer, template and helpers. The client is watched from the
start, and the first event decides the status. When the stream ends, for whatever reason, the
session is closed and one line is logged.
"""

import logging
import time
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from typing import Concatenate, ParamSpec, TypeVar

from rowcast.errors import NotReady, PromptTooLong
from rowcast.frontend.reply.choices import Replies
from rowcast.frontend.reply.positions import Mark, Position
from rowcast.frontend.reply.text import ReplyText
from rowcast.frontend.request.deadline import Deadline
from rowcast.frontend.request.defaults import Defaults
from rowcast.frontend.request.origin import Origin
from rowcast.frontend.request.prompt import Prompt
from rowcast.frontend.request.request import Request
from rowcast.frontend.request.sizes import check_size
from rowcast.frontend.resumable.stream import Stream
from rowcast.frontend.resumable.streams import Asking, Streams
from rowcast.frontend.resumable.sync import Tending
from rowcast.frontend.sessions.client_watch import WENT_AWAY
from rowcast.frontend.sessions.session import Session
from rowcast.frontend.sessions.sessions import Sessions
from rowcast.log import quoted
from rowcast.offload import tasks
from rowcast.offload.pool import Client, Offload
from rowcast.offload.tasks import Tools
from rowcast.text.chat.template import ChatTemplate
from rowcast.text.tokens.shown_tokens import decoder_for
from rowcast.text.tokens.tokenizer import Tokenizer, decoded
from rowcast.wire import Finished, FinishReason, Status, Submit

_log = logging.getLogger("rowcast.request")

ALIAS = "falcon40b"  # another name of whatever is served
STREAM_HEADER = "X-Stream-ID"
VERDICT_SECONDS = 10.0
LONG_TEXT = 2000  # characters; a call to a helper costs as much as tokenizing some hundred

_Arguments = ParamSpec("_Arguments")
_Result = TypeVar("_Result")


@dataclass(frozen=True, slots=True, kw_only=True)
class ServedModel:
    """One model, as the frontend sees it."""

    names: tuple[str, ...]  # by which requests may call it
    listed: tuple[str, ...]  # those that lists show, its own first; no paths on this machine
    sessions: Sessions
    tokenizer: Tokenizer
    streams: Streams
    offload: Offload
    tending: Tending | None = field(init=False)
    chat: ChatTemplate = field(default_factory=ChatTemplate.plain)
    defaults: Defaults = field(default_factory=Defaults)  # the model's own
    aliases: tuple[str, ...] = (ALIAS,)

    def __post_init__(self) -> None:
        recorder = self.streams.recorder
        object.__setattr__(self, "tending", recorder and Tending(self.streams, recorder))

    def start(self, *, helpers: bool = True) -> None:
        """`helpers`: prepare them now instead of at their first task."""
        self.sessions.start()
        if helpers:
            self.offload.start()
        if self.tending is not None:
            self.tending.start()

    def close(self) -> None:
        if self.tending is not None:
            self.tending.close()
        self.sessions.close()
        self.offload.close()

    def status(self) -> Status:
        """Return the backend's status. Raises NotReady if there is no backend."""
        health = self.sessions.health()
        if health.status is None:
            raise NotReady(health.reason)
        return health.status

    @property
    def context_length(self) -> int | None:
        """The maximum number of tokens per row; None until a backend has reported it."""
        status = self.sessions.health().status
        return status.context_length if status else None

    def encode(
        self, request: Request, text: str, *, special: bool = True, for_prompt: bool = True
    ) -> tuple[int, ...]:
        """Return the token ids of a text. `for_prompt`: it must fit the model's context."""
        if len(text) < LONG_TEXT:
            return self.tokenizer.encode(text, special=special)
        most = self.context_length if for_prompt else None
        return tuple(self.elsewhere(request, tasks.encode, text, special, most))

    def decode(self, request: Request, tokens: Sequence[int]) -> str:
        """Return the text of token ids. Raises PromptTooLong for more than a context holds."""
        most = self.context_length
        if most is not None and len(tokens) > most:
            raise PromptTooLong(
                f"{len(tokens)} tokens are more than the model's context holds, which is {most}"
            )
        if len(tokens) < LONG_TEXT:
            return decoded(self.tokenizer, tokens)
        return self.elsewhere(request, tasks.decode, tuple(tokens))

    def elsewhere(
        self,
        request: Request,
        task: "Callable[Concatenate[Tools, _Arguments], _Result]",
        *arguments: _Arguments.args,
        **named: _Arguments.kwargs,
    ) -> _Result:
        """Run a task outside this process; stop it if the client leaves."""
        client = Client(request.caller.team, request.watching)
        return self.offload.run(client, task, *arguments, **named)

    def open(
        self, request: Request, origin: Origin, prompt: Prompt, start: Position | None = None
    ) -> ReplyText:
        """Submit a prompt. Return once it is accepted; raise if it is refused."""
        return self.open_all(request, origin, [prompt], start)[0]

    def open_all(
        self,
        request: Request,
        origin: Origin,
        prompts: Sequence[Prompt],
        start: Position | None = None,
    ) -> Replies:
        """Submit prompts with all their choices; either all are accepted or none.

        `start`: the reader's position in them; a piece ends there.
        """
        submits = [_submits(prompt, request.caller.team) for prompt in prompts]
        deadline = Deadline.read(request.headers, prompts[0].timeout, request.began)
        asking = Asking(request.caller, request.id, submits)
        check_size(asking.prompts)
        stream, watch = self.streams.open(origin, asking), ExitStack()
        choices = [prompt for prompt in prompts for _ in prompt.choices]
        marks = start.marks if start else [Mark()] * len(choices)
        replies = [
            self._reply(request, prompt, stream, session, watch, pause=mark.tokens)
            for prompt, session, mark in zip(choices, stream.sessions, marks, strict=True)
        ]
        watch.callback(request.watch(lambda: self._leave(replies, WENT_AWAY)))
        watch.callback(deadline.call(lambda: self._leave(replies, deadline.said, "deadline")))
        opened = Replies(replies, asking.arrived, stream.origin)
        opened.verdict(VERDICT_SECONDS)
        self.streams.keep(stream, asking)
        if stream.name:
            request.response_headers[STREAM_HEADER] = stream.name
        return opened

    def _reply(
        self,
        request: Request,
        prompt: Prompt,
        stream: Stream,
        session: Session,
        watch: ExitStack,
        *,
        pause: int,
    ) -> ReplyText:
        opened = time.monotonic()

        def close(reply: ReplyText) -> None:
            watch.close()
            self.streams.left(stream, session, _whole_end(reply))
            _log_reply(request, prompt, reply, opened)

        decoder = decoder_for(self.tokenizer, prompt.shown)
        return ReplyText(session, decoder, prompt.stop, close, pause=pause)

    def _leave(
        self, replies: Sequence[ReplyText], why: str, reason: FinishReason = "cancelled"
    ) -> None:
        for reply in replies:
            self.sessions.close_session(reply.session, why, reason)


def _whole_end(reply: ReplyText) -> Finished | None:
    ending = reply.ending
    if ending is None or not ending.whole:
        return None
    return Finished(*reply.session.submit.key, ending.tokens, ending.reason)


def _submits(prompt: Prompt, team: str) -> list[Submit]:
    return [
        Submit(
            session="",
            choice=choice,
            prompt=prompt.tokens,
            params=prompt.params,
            seed=prompt.seed,
            team=team,
        )
        for choice in prompt.choices
    ]


def _log_reply(request: Request, prompt: Prompt, reply: ReplyText, opened: float) -> None:
    now = time.monotonic()
    ending = reply.ending
    first = f"{(reply.first - opened) * 1000:.1f}" if reply.first else "-"
    _log.info(
        "request=%s session=%s team=%s token_id=%s dialect=%s prompt_tokens=%d reply_tokens=%d "
        "first_ms=%s total_ms=%.1f reason=%s",
        request.id,
        reply.session.submit.session,
        quoted(request.caller.team),
        quoted(request.caller.token_id),
        prompt.dialect,
        len(prompt.tokens),
        ending.tokens if ending else len(reply.session.tokens),
        first,
        (now - opened) * 1000,
        ending.reason if ending else "cancelled",
    )
