"""POST /v1/chat/completions: messages in, the assistant's message out."""

from collections.abc import Iterator
from functools import partial

from msgspec import UNSET, UnsetType

from rowcast.frontend.api.bodies.parsing import read
from rowcast.frontend.api.bodies.sampling import check_options, fill_in, params_of
from rowcast.frontend.api.bodies.types import ChatBody
from rowcast.frontend.api.bodies.unenforced import with_unenforced
from rowcast.frontend.api.chat_prompt import ChatPrompt, chat_prompt
from rowcast.frontend.api.constant_parts import GAP, ConstantParts
from rowcast.frontend.api.openai.parsed_request import ParsedRequest, parsed_request
from rowcast.frontend.api.openai.response.calls import MessageReader, joined, merged
from rowcast.frontend.api.openai.response.logprobs import ChatScores, check_amount
from rowcast.frontend.api.openai.response.response import (
    answer,
    encoded,
    event_data,
    finish_reason,
)
from rowcast.frontend.api.openai.response.types import (
    ChatChoice,
    ChatChunk,
    ChatCompletion,
    CompletionDetails,
    Delta,
    DeltaChoice,
    FinishReason,
    Usage,
)
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.reply.replies import Piece, Replies
from rowcast.frontend.reply.text import Place
from rowcast.frontend.request.request import Request
from rowcast.frontend.response import Response
from rowcast.frontend.served_model import ServedModel
from rowcast.frontend.turns import in_turns
from rowcast.text.tokens.tokenizer import Tokenizer


def chat(frontend: Frontend, request: Request) -> Response:
    """Answer one request."""
    body, served = read(frontend, request, ChatBody)
    prompt, parsed = prepared(served, request, body)
    show = partial(ChatView, served.tokenizer, body, prompt)
    return with_unenforced(answer(frontend, request, served, parsed, show), prompt.rule)


def prepared(
    served: ServedModel, request: Request, body: ChatBody
) -> tuple[ChatPrompt, ParsedRequest]:
    """Return the prompt of a body, and the validated request."""
    fill_in(body, served.generation)
    check_options(body)
    prompt = chat_prompt(served, request, body)
    return prompt, _parsed(served, request, body, prompt)


def _parsed(
    served: ServedModel, request: Request, body: ChatBody, prompt: ChatPrompt
) -> ParsedRequest:
    max_tokens = _max_tokens(served, body, len(prompt.tokens))
    if body.logprobs:
        check_amount(body.n or 1, 0, max_tokens, body.top_logprobs or 0)
    params = params_of(
        body,
        served.tokenizer.vocabulary,
        served.defaults,
        max_tokens=max_tokens,
        logprobs=(body.top_logprobs or 0) if body.logprobs else None,
        grammar=prompt.grammar,
    )
    prompts = [(prompt.tokens, prompt.text)]
    return parsed_request(
        served, request, body, prompts, params, kind="chatcmpl", hidden=prompt.hidden
    )


def _max_tokens(served: ServedModel, body: ChatBody, prompt: int) -> int:
    """Return the requested maximum, or the model's own; by default, all that the context holds."""
    requested = body.max_completion_tokens or body.max_tokens or served.generation.max_new_tokens
    return requested or max(1, served.status().context_length - prompt)


def _reader(prompt: ChatPrompt, request: str, reply: int) -> MessageReader:
    """Return the reader of one reply's text."""
    custom = prompt.tools.custom if prompt.tools else ()
    return MessageReader(prompt.reader(), custom, request, reply)


class ChatView:
    """The replies to one body."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        body: ChatBody,
        prompt: ChatPrompt,
        parsed: ParsedRequest,
        replies: Replies,
    ) -> None:
        self.parsed = parsed
        self.replies = replies
        self._body = body
        self._thinks = prompt.thinking is not None
        # A piece may be text, a name and arguments, or reasoning and text.
        self.singly = prompt.has_parts
        self._held: list[list[Delta]] = [[] for _ in replies]  # of unfinished chunks
        self._constant = ConstantParts(self._chunk_of(GAP, parsed.no_usage))  # around choices
        self._texts: dict[int, ConstantParts] = {}  # around the text of a reply
        self._readers = [_reader(prompt, parsed.id, reply) for reply in range(len(replies))]
        likeliest = body.top_logprobs or 0
        self._scores = [ChatScores(tokenizer, likeliest) for _ in replies]

    def begin(self) -> Iterator[bytes]:
        for reply in range(len(self.replies)):
            yield self._event(DeltaChoice(reply, Delta(role="assistant", content="")))

    def piece(self, piece: Piece) -> list[bytes]:
        at, reply = piece.reply, self.replies[piece.reply]
        deltas = self._readers[at].feed(piece.text, reply.tokens)
        if reply.joins:
            self._held[at] += deltas
            if piece.more:
                return []
            deltas, self._held[at] = [*merged(self._held[at])], []
        return [self._delta_event(at, delta) for delta in deltas]

    def end(self, reply: int) -> Iterator[bytes]:
        for delta in self._readers[reply].finish():
            yield self._event(DeltaChoice(reply, delta))
        scores = self._scores[reply].of(self._places(reply))
        yield self._event(DeltaChoice(reply, Delta(), scores, self._reason(reply)))

    def last(self) -> bytes:
        last = self._chunk_of([], self._usage() if self.parsed.include_usage else UNSET)
        last.receipt = self.parsed.receipt_of(self.replies)
        return event_data(last)

    def whole(self) -> ChatCompletion:
        choices = self._choices()
        parsed = self.parsed
        return ChatCompletion(
            id=parsed.id,
            created=parsed.created,
            model=parsed.model,
            choices=choices,
            usage=self._usage(),
            system_fingerprint=parsed.fingerprint,
            seed=parsed.seed,
            receipt=parsed.receipt_of(self.replies),
        )

    def _choices(self) -> list[ChatChoice]:
        """Return all choices once they have ended."""
        deltas: list[list[Delta]] = [[] for _ in self.replies]
        for piece in self.replies.pieces(singly=self.singly):
            if piece is None:
                continue
            at = piece.reply
            deltas[at] += self._readers[at].feed(piece.text, self.replies[at].tokens)
            self.replies.check(at)
            self._scores[at].add(self._places(at))
        return [encoded(self._choice(at, each)) for at, each in in_turns(enumerate(deltas))]

    def _choice(self, reply: int, deltas: list[Delta]) -> ChatChoice:
        message = joined([*deltas, *self._readers[reply].finish()])
        self._scores[reply].add(self._places(reply))
        return ChatChoice(reply, message, self._reason(reply), self._scores[reply].all())

    def _usage(self) -> Usage:
        """Return the usage so far, including the share of reasoning."""
        usage = self.parsed.usage(self.replies)
        if self._thinks:
            spent = sum(reader.reasoning_tokens for reader in self._readers)
            usage.completion_tokens_details = CompletionDetails(spent)
        return usage

    def _reason(self, reply: int) -> FinishReason:
        reason = finish_reason(self.replies.ending(reply))
        return "tool_calls" if self._readers[reply].called and reason == "stop" else reason

    def _places(self, reply: int) -> list[Place]:
        """Return the tokens whose scores were not sent yet."""
        return self.replies[reply].places() if self._body.logprobs else []

    def _delta_event(self, reply: int, delta: Delta) -> bytes:
        """Return the event of more of one reply, with the scores of its new tokens."""
        text = delta.content
        if text and not (self._body.logprobs or self.parsed.counts_within):
            return self._text_event(reply, text)
        scores = self._scores[reply].of(self._places(reply))
        return self._event(DeltaChoice(reply, delta, scores))

    def _text_event(self, reply: int, text: str) -> bytes:
        """Return the event of more text that has no scores and no usage."""
        parts = self._texts.get(reply)
        if parts is None:
            choice = DeltaChoice(reply, Delta(content=GAP))
            parts = ConstantParts(self._chunk_of([choice], self.parsed.no_usage))
            self._texts[reply] = parts
        return parts.around(text)

    def _event(self, choice: DeltaChoice) -> bytes:
        """Return the event of one choice."""
        if self.parsed.counts_within:
            return event_data(self._chunk_of([choice], self._usage()))
        return self._constant.around([choice])

    def _chunk_of(
        self, choices: list[DeltaChoice], usage: Usage | UnsetType | None = UNSET
    ) -> ChatChunk:
        parsed = self.parsed
        return ChatChunk(
            id=parsed.id,
            created=parsed.created,
            model=parsed.model,
            choices=choices,
            usage=usage,
            system_fingerprint=parsed.fingerprint,
            seed=parsed.seed,
        )
