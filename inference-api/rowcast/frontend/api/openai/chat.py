"""POST /v1/chat/completions: messages in, the assistant's message out."""

from collections.abc import Iterator, Sequence

from flask import Response
from msgspec import UNSET, UnsetType

from rowcast.errors import InvalidField
from rowcast.frontend.api.openai.answers import (
    ChatChoice,
    ChatChunk,
    ChatCompletion,
    ChatLogprobs,
    ChatMessage,
    Delta,
    DeltaChoice,
    Usage,
)
from rowcast.frontend.api.openai.asked import Asked, ask
from rowcast.frontend.api.openai.bodies import ChatBody
from rowcast.frontend.api.openai.grammars import grammar_of
from rowcast.frontend.api.openai.logprobs import chat_scores
from rowcast.frontend.api.openai.messages import prompt_of
from rowcast.frontend.api.openai.reading import read
from rowcast.frontend.api.openai.sampling import check_stream_options, params_of
from rowcast.frontend.api.openai.streams import answer, finish_reason
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.replies import Replies
from rowcast.frontend.streaming import Place


def chat(frontend: Frontend) -> Response:
    """Answer one request."""
    body = read(frontend, ChatBody)
    asked = _asked(frontend, body)
    return answer(frontend, asked, lambda replies: ChatView(frontend, body, asked, replies))


def _asked(frontend: Frontend, body: ChatBody) -> Asked:
    check_stream_options(body)
    if body.top_logprobs is not None and not body.logprobs:
        raise InvalidField("top_logprobs", "is only allowed when logprobs is true")
    grammar = grammar_of(body)
    prompt = prompt_of(
        frontend,
        body.messages,
        tools=body.tools,
        continues=bool(body.continue_final_message),
        extra=body.chat_template_kwargs,
    )
    params = params_of(
        body,
        frontend.tokenizer.vocabulary,
        max_tokens=_max_tokens(frontend, body, len(prompt.tokens)),
        logprobs=(body.top_logprobs or 0) if body.logprobs else None,
        grammar=grammar,
    )
    return ask(frontend, body, [prompt], params, kind="chatcmpl")


def _max_tokens(frontend: Frontend, body: ChatBody, prompt: int) -> int:
    """What is asked for; without a wish, as many as the context holds."""
    asked = body.max_completion_tokens or body.max_tokens
    return asked or max(1, frontend.status().context_length - prompt)


class ChatView:
    """The replies to one body."""

    def __init__(self, frontend: Frontend, body: ChatBody, asked: Asked, replies: Replies) -> None:
        self.asked = asked
        self.replies = replies
        self._tokenizer = frontend.tokenizer
        self._body = body

    def begin(self) -> Iterator[ChatChunk]:
        for reply in range(len(self.replies)):
            yield self._chunk(DeltaChoice(reply, Delta(role="assistant", content="")))

    def piece(self, reply: int, text: str) -> ChatChunk | None:
        if not text:
            return None
        scores = self._scores(self.replies[reply].places())
        return self._chunk(DeltaChoice(reply, Delta(content=text), scores))

    def end(self, reply: int) -> Iterator[ChatChunk]:
        places = self.replies[reply].places()
        reason = finish_reason(self.replies.ending(reply))
        scores = self._scores(places) if places else None
        yield self._chunk(DeltaChoice(reply, Delta(), scores, reason))

    def usage(self) -> ChatChunk:
        return self._chunk_of([], self.asked.usage(self.replies))

    def whole(self) -> ChatCompletion:
        texts = self.replies.texts()
        asked = self.asked
        return ChatCompletion(
            id=asked.id,
            created=asked.created,
            model=asked.model,
            choices=[self._choice(reply, text) for reply, text in enumerate(texts)],
            usage=asked.usage(self.replies),
            system_fingerprint=asked.fingerprint,
            seed=asked.seed,
        )

    def _choice(self, reply: int, text: str) -> ChatChoice:
        scores = self._scores(self.replies[reply].places())
        reason = finish_reason(self.replies.ending(reply))
        return ChatChoice(reply, ChatMessage(text), reason, scores)

    def _scores(self, places: Sequence[Place]) -> ChatLogprobs | None:
        if not self._body.logprobs:
            return None
        return chat_scores(self._tokenizer, places, self._body.top_logprobs or 0)

    def _chunk(self, choice: DeltaChoice) -> ChatChunk:
        return self._chunk_of([choice], self.asked.usage_within(self.replies))

    def _chunk_of(
        self, choices: list[DeltaChoice], usage: Usage | UnsetType | None = UNSET
    ) -> ChatChunk:
        asked = self.asked
        return ChatChunk(
            id=asked.id,
            created=asked.created,
            model=asked.model,
            choices=choices,
            usage=usage,
            system_fingerprint=asked.fingerprint,
            seed=asked.seed,
        )
