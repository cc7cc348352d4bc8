"""A served model: all that belongs to one model, and how its replies are computed.

    served.open_all(request, origin, prompts)  ──▶  the text of all replies

Joins its sessions, tokenizer, template and helpers. Once its prompts are submitted, the client is
watched, and the first event decides the status. When the stream ends, for whatever reason, its
choices are closed and its observers called; one of them logs a line.
"""

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from functools import partial
from typing import Concatenate, ParamSpec, TypeVar

from rowcast.errors import NotReady, PromptTooLong
from rowcast.frontend.reply.observers import OBSERVERS, Observation, Observer
from rowcast.frontend.reply.positions import Mark, Position
from rowcast.frontend.reply.replies import Replies
from rowcast.frontend.reply.text import ReplyText
from rowcast.frontend.request.deadline import Deadline
from rowcast.frontend.request.defaults import Defaults
from rowcast.frontend.request.identity import Caller
from rowcast.frontend.request.origin import Origin
from rowcast.frontend.request.prefix_keys import NO_PREFIXES, PrefixKeys
from rowcast.frontend.request.prompt import Prompt
from rowcast.frontend.request.request import Request
from rowcast.frontend.request.sizes import check_size
from rowcast.frontend.sessions.sessions import Sessions
from rowcast.models.generation import Generation
from rowcast.offload import tasks
from rowcast.offload.pool import Client, Offload
from rowcast.offload.tasks import Tools
from rowcast.text.chat.template import ChatTemplate
from rowcast.text.ranking import NO_RANKING, RankForm
from rowcast.text.tokens.shown_tokens import decoder_for
from rowcast.text.tokens.tokenizer import Decoder, Tokenizer, decoded
from rowcast.text.vector_form import VectorForm
from rowcast.wire import Embed, Limited, Status, Submit
from rowcast_http.client_watch import WENT_AWAY

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
    offload: Offload
    chat: ChatTemplate = field(default_factory=ChatTemplate.plain)
    vectors: VectorForm = field(default_factory=VectorForm)
    ranking: RankForm = NO_RANKING
    defaults: Defaults = field(default_factory=Defaults)  # of sampling parameters
    generation: Generation = field(default_factory=Generation)  # other defaults of requests
    aliases: tuple[str, ...] = (ALIAS,)
    prefix_keys: PrefixKeys = NO_PREFIXES
    observers: tuple[Observer, ...] = OBSERVERS
    prepares_helpers: bool = True  # in `start` instead of at their first task

    def start(self, on_ready: Callable[[], None] = lambda: None) -> None:
        """`on_ready` is called whenever a backend has sent its first Status."""
        self.sessions.start(on_ready)
        if self.prepares_helpers:
            self.offload.start()

    def close(self) -> None:
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
                f"{len(tokens)} tokens exceed the model's context of {most}; send fewer"
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
        submits = self._submits(prompts, request.caller, origin)
        deadline = Deadline.read(request.headers, prompts[0].timeout, request.began)
        check_size(submits)
        session = self.sessions.open(origin, request.caller, request.id, submits)
        each = [prompt for prompt in prompts for _ in prompt.choices]  # the prompt of each choice
        observation = Observation(self.observers, request, each, session.choices)
        watch = ExitStack()

        def close(reply: ReplyText) -> None:
            watch.close()
            self.sessions.left(session, reply.choice, reply.whole_end)
            observation.end(reply)

        marks = start.marks if start else [Mark()] * len(each)
        chunk = self.generation.streaming_chunks
        replies = [
            ReplyText(
                choice,
                self._decoder(prompt),
                prompt.stop,
                close,
                partial(self.sessions.cached, session),
                pause=mark.tokens,
                chunk=chunk,
            )
            for prompt, choice, mark in zip(each, session.choices, marks, strict=True)
        ]
        watch.callback(request.watch(lambda: self.sessions.end(session, WENT_AWAY)))
        watch.callback(
            deadline.call(lambda: self.sessions.end(session, deadline.message, "deadline"))
        )
        opened = Replies(replies, session)
        opened.verdict(VERDICT_SECONDS)
        observation.begin()
        self.sessions.keep(session)
        if session.name:
            request.response_headers[STREAM_HEADER] = session.name
        return opened

    def _decoder(self, prompt: Prompt) -> Decoder:
        return decoder_for(self.tokenizer, prompt.shown)

    def _submits(
        self, prompts: Sequence[Prompt], caller: Caller, origin: Origin
    ) -> list[list[Submit]]:
        """Return the commands of each session at the backend: the choices of one prompt.

        Vectors are not drawn, so those of several prompts may be choices of one session. Then the
        backend computes the beginning that their prompts share only once.
        """
        commands = [self.submit_of(prompt, caller, origin.token_id) for prompt in prompts]
        if prompts[0].pooling is not None:
            return [[command.as_choice(at) for at, command in enumerate(commands)]]
        return [
            [command.as_choice(choice) for choice in prompt.choices]
            for prompt, command in zip(prompts, commands, strict=True)
        ]

    def submit_of(self, prompt: Prompt, caller: Caller, token_id: str = "") -> Submit:
        """Return the command for a prompt; its choices are copies."""
        command = _command(prompt)
        return command(
            session="",
            choice=0,
            prompt=prompt.tokens,
            params=prompt.params,
            seed=prompt.seed,
            team=caller.team,
            prefix_key=self.prefix_keys.key(caller, token_id, prompt.cache_salt),
        )


def _command(prompt: Prompt) -> Callable[..., Submit]:
    """Return what creates a prompt's command."""
    if prompt.pooling is not None:
        return partial(Embed, pooling=prompt.pooling, logits=prompt.logits)
    return partial(Limited, dyn_batch=prompt.dyn_batch) if prompt.dyn_batch else Submit
