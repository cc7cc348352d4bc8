"""POST /generate with a prompt: one object with the keys of three systems, or vLLM's pieces.

Parameters have vLLM's names and defaults; `max_tokens` is 16.
"""

from dataclasses import dataclass
from typing import Any

from msgspec import UNSET, UnsetType

from rowcast.errors import InvalidField
from rowcast.frontend.api.bodies.parsing import as_struct, claim_options
from rowcast.frontend.api.bodies.rules import grammar_of
from rowcast.frontend.api.bodies.sampling import params_of
from rowcast.frontend.api.bodies.unenforced import with_unenforced
from rowcast.frontend.api.events import SEED_HEADER, streamed
from rowcast.frontend.api.generate.answer import Generated, TokenCounts
from rowcast.frontend.api.generate.body import GenerateBody, PromptBody, TextBody
from rowcast.frontend.api.generate.pieces import pieces
from rowcast.frontend.api.openai.completions import MAX_TOKENS
from rowcast.frontend.api.openai.response.logprobs import CompletionScores, check_amount
from rowcast.frontend.api.openai.response.response import finish_reason, json_answer
from rowcast.frontend.api.openai.response.types import CompletionLogprobs
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.reply.receipts import Receipt, receipt_of
from rowcast.frontend.reply.replies import Replies
from rowcast.frontend.reply.text import ReplyText
from rowcast.frontend.request.origin import Origin
from rowcast.frontend.request.prompt import Prompt
from rowcast.frontend.request.request import Request
from rowcast.frontend.response import Response, closed_once_sent
from rowcast.frontend.served_model import ServedModel
from rowcast.frontend.turns import in_turns
from rowcast.sampling_params import SamplingParams
from rowcast.text.rules.schema_rule import Rule
from rowcast.wire import Status

NAMES = frozenset({"prompt", "text"})


@dataclass(frozen=True, slots=True)
class Wanted:
    """A parsed body."""

    body: GenerateBody
    served: ServedModel
    model: str
    origin: Origin
    prompt: Prompt
    build: Status | None  # the build for the receipt; None: no receipt was requested


def generate(frontend: Frontend, request: Request, sent: dict[str, Any]) -> Response:
    """Answer with all choices, or stream them."""
    body = body_of(sent)
    options = claim_options(body, events=False)
    served = frontend.model(body.wanted_model, request, options)
    rule = grammar_of(served, request, body)
    wanted = _wanted(request, served, body, rule)
    replies = served.open_all(request, wanted.origin, [wanted.prompt])
    return with_unenforced(_answer(wanted, replies), rule)


def body_of(sent: dict[str, Any]) -> GenerateBody:
    """Parse and check the body."""
    if sent.keys() >= NAMES:
        raise InvalidField("text", "is another name of prompt; send one of them")
    body: GenerateBody = as_struct(sent, PromptBody if "prompt" in sent else TextBody)
    body.check()
    return body


def _wanted(request: Request, served: ServedModel, body: GenerateBody, rule: Rule) -> Wanted:
    text, origin = body.wanted_prompt, request.origin()
    prompt = Prompt(
        tokens=served.encode(request, text),
        text=text,
        params=_params(served, body, rule),
        seed=(origin.seed if body.seed is None else body.seed) % 2**64,
        dialect="generate",
        stop=body.stop_sequences,
        choices=range(body.candidates),
        timeout=body.timeout,
        cache_salt=body.cache_salt or "",
        dyn_batch=body.dyn_batch or 0,
    )
    _check_start(body, origin)
    model = body.wanted_model or served.listed[0]
    return Wanted(body, served, model, origin, prompt, served.status() if body.receipt else None)


def _params(served: ServedModel, body: GenerateBody, rule: Rule) -> SamplingParams:
    max_tokens = MAX_TOKENS if body.max_tokens is None else body.max_tokens
    logprobs = body.logprobs
    if logprobs is not None:
        check_amount(body.candidates, 0, max_tokens, logprobs)
    elif body.candidates > body.choices:
        logprobs = 0  # to find the best
    return params_of(
        body,
        served.tokenizer.vocabulary,
        served.defaults,
        max_tokens=max_tokens,
        logprobs=logprobs,
        grammar=rule.grammar,
    )


def _check_start(body: GenerateBody, origin: Origin) -> None:
    if body.stream and origin.start not in {"", "0"}:
        raise InvalidField(
            "from", "is not needed: each piece of this stream has the whole text; leave it out"
        )


def _answer(wanted: Wanted, replies: Replies) -> Response:
    seed = wanted.prompt.seed
    if wanted.body.stream:
        chunks = pieces(wanted.prompt.text, replies)
        return streamed(replies, chunks, "text/plain; charset=utf-8", seed)
    response = closed_once_sent(lambda: json_answer(_generated(wanted, replies)), replies.close)
    return response.with_headers({SEED_HEADER: str(seed)})


def _generated(wanted: Wanted, replies: Replies) -> Generated:
    """Return the answer once all replies have ended."""
    scores = Scores(wanted, replies)
    texts = replies.texts(scores.add)
    best = replies.likeliest(range(len(replies)), wanted.body.choices)
    prompt, response = wanted.prompt.text, texts[best[0]]
    return Generated(
        prompt=prompt,
        response=response,
        text=[prompt + texts[at] for at in best],
        result=response,
        model=wanted.model,
        usage=_usage(wanted, replies),
        finish_reasons=[finish_reason(replies.ending(at)) for at in best],
        seed=wanted.prompt.seed,
        logprobs=scores.of(best),
        receipt=_receipt(wanted, [replies[at] for at in best]),
    )


def _usage(wanted: Wanted, replies: Replies) -> TokenCounts:
    prompt, completion = len(wanted.prompt.tokens), sum(reply.tokens for reply in replies)
    return TokenCounts(prompt, completion, prompt + completion)


def _receipt(wanted: Wanted, sent: list[ReplyText]) -> Receipt | UnsetType:
    return UNSET if wanted.build is None else receipt_of(wanted.build, wanted.prompt.stop, sent)


class Scores:
    """The log-probabilities of all replies, if they were requested."""

    def __init__(self, wanted: Wanted, replies: Replies) -> None:
        self._replies = replies
        self._likeliest = wanted.body.logprobs
        tokenizer = wanted.served.tokenizer
        self._scores = [CompletionScores(tokenizer, self._likeliest or 0) for _ in replies]

    def add(self, reply: int) -> None:
        """Store the new tokens of a reply."""
        if self._likeliest is not None:
            self._scores[reply].add(self._replies[reply].places())

    def of(self, best: list[int]) -> list[CompletionLogprobs | None] | UnsetType:
        """Return the log-probabilities of these replies."""
        if self._likeliest is None:
            return UNSET
        return [self._scores[each].all() for each in in_turns(best)]
