"""POST /v1/chat/completions: messages in, the assistant's message out."""

from collections.abc import Iterable, Iterator, Sequence
from functools import partial

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
    FinishReason,
    Usage,
)
from rowcast.frontend.api.openai.asked import Asked, ask
from rowcast.frontend.api.openai.bodies import ChatBody
from rowcast.frontend.api.openai.grammars import grammar_of
from rowcast.frontend.api.openai.logprobs import chat_scores, check_amount
from rowcast.frontend.api.openai.messages import prompt_of
from rowcast.frontend.api.openai.reading import read
from rowcast.frontend.api.openai.sampling import check_stream_options, params_of
from rowcast.frontend.api.openai.streams import answer, encoded, finish_reason
from rowcast.frontend.api.openai.tools import Toolbox, collected, deltas, toolbox
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.replies import Replies
from rowcast.frontend.streaming import Place
from rowcast.frontend.turns import in_turns


def chat(frontend: Frontend) -> Response:
    """Answer one request."""
    body = read(frontend, ChatBody)
    tools = toolbox(frontend, body)
    asked = _asked(frontend, body, tools)
    return answer(frontend, asked, partial(ChatView, frontend, body, tools))


def _asked(frontend: Frontend, body: ChatBody, tools: Toolbox | None) -> Asked:
    check_stream_options(body)
    if body.top_logprobs is not None and not body.logprobs:
        raise InvalidField("top_logprobs", "is only allowed when logprobs is true")
    rules = [
        text
        for text in (grammar_of(frontend, body), tools.grammar(frontend) if tools else "")
        if text
    ]
    if len(rules) > 1:
        raise InvalidField("tool_choice", "can not be sent with a rule for the reply's text")
    prompt = prompt_of(
        frontend,
        body.messages,
        tools=tools.tools if tools else None,
        continues=bool(body.continue_final_message),
        extra=body.chat_template_kwargs,
    )
    max_tokens = _max_tokens(frontend, body, len(prompt.tokens))
    if body.logprobs:
        check_amount(body.n or 1, 0, max_tokens, body.top_logprobs or 0)
    params = params_of(
        body,
        frontend.tokenizer.vocabulary,
        frontend.defaults,
        max_tokens=max_tokens,
        logprobs=(body.top_logprobs or 0) if body.logprobs else None,
        grammar="".join(rules),
    )
    return ask(frontend, body, [prompt], params, kind="chatcmpl")


def _max_tokens(frontend: Frontend, body: ChatBody, prompt: int) -> int:
    """What is asked for; without a wish, as many as the context holds."""
    asked = body.max_completion_tokens or body.max_tokens
    return asked or max(1, frontend.status().context_length - prompt)


class ChatView:
    """The replies to one body."""

    def __init__(
        self,
        frontend: Frontend,
        body: ChatBody,
        tools: Toolbox | None,
        asked: Asked,
        replies: Replies,
    ) -> None:
        self.asked = asked
        self.replies = replies
        self._tokenizer = frontend.tokenizer
        self._body = body
        self._readers = [tools.reader() if tools else None for _ in replies]
        self.singly = tools is not None  # a piece may be text, a name and arguments

    def begin(self) -> Iterator[ChatChunk]:
        for reply in range(len(self.replies)):
            yield self._chunk(DeltaChoice(reply, Delta(role="assistant", content="")))

    def piece(self, reply: int, text: str) -> Iterator[ChatChunk]:
        for delta in self._deltas(reply, text):
            scores = self._scores(self.replies[reply].places())
            yield self._chunk(DeltaChoice(reply, delta, scores))

    def end(self, reply: int) -> Iterator[ChatChunk]:
        reader = self._readers[reply]
        if reader is not None:
            for delta in deltas(reader.finish(), self.asked.id, reply):
                yield self._chunk(DeltaChoice(reply, delta))
        scores = self._scores(self.replies[reply].places())
        yield self._chunk(DeltaChoice(reply, Delta(), scores, self._reason(reply)))

    def last(self) -> ChatChunk:
        last = self._chunk_of([], self.asked.last_usage(self.replies))
        last.receipt = self.asked.receipt_of(self.replies)
        return last

    def whole(self) -> ChatCompletion:
        texts = self.replies.texts()
        asked = self.asked
        return ChatCompletion(
            id=asked.id,
            created=asked.created,
            model=asked.model,
            choices=[
                encoded(self._choice(reply, text)) for reply, text in in_turns(enumerate(texts))
            ],
            usage=asked.usage(self.replies),
            system_fingerprint=asked.fingerprint,
            seed=asked.seed,
            receipt=asked.receipt_of(self.replies),
        )

    def _choice(self, reply: int, text: str) -> ChatChoice:
        message = ChatMessage(text)
        reader = self._readers[reply]
        if reader is not None:
            found = [*reader.feed(text), *reader.finish()]
            message.content, calls = collected(found, self.asked.id, reply)
            message.tool_calls = calls or UNSET
        scores = self._scores(self.replies[reply].places())
        return ChatChoice(reply, message, self._reason(reply), scores)

    def _deltas(self, reply: int, text: str) -> Iterable[Delta]:
        reader = self._readers[reply]
        if reader is None:
            return [Delta(content=text)] if text else []
        return deltas(reader.feed(text), self.asked.id, reply)

    def _reason(self, reply: int) -> FinishReason:
        reader = self._readers[reply]
        reason = finish_reason(self.replies.ending(reply))
        return "tool_calls" if reader is not None and reader.calls and reason == "stop" else reason

    def _scores(self, places: Sequence[Place]) -> ChatLogprobs | None:
        if not self._body.logprobs or not places:
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
