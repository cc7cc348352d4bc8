"""POST /v1/completions: continues a text, or token ids.

Several prompts with several choices each make one list of choices: prompt by prompt, choice by
choice. `best_of` computes more replies than it returns, and returns those with the likeliest
tokens.
"""

from collections.abc import Iterator
from functools import partial
from typing import Any

from msgspec import UNSET, UnsetType

from rowcast.errors import InvalidField
from rowcast.frontend.api.bodies.parsing import read
from rowcast.frontend.api.bodies.rules import grammar_of
from rowcast.frontend.api.bodies.sampling import (
    candidates_of,
    check_options,
    checked_tokens,
    fill_in,
    params_of,
)
from rowcast.frontend.api.bodies.types import CompletionBody
from rowcast.frontend.api.bodies.unenforced import with_unenforced
from rowcast.frontend.api.constant_parts import GAP, ConstantParts
from rowcast.frontend.api.openai.parsed_request import (
    REPLIES,
    ParsedRequest,
    parsed_request,
)
from rowcast.frontend.api.openai.response.logprobs import CompletionScores, check_amount
from rowcast.frontend.api.openai.response.response import (
    answer,
    encoded,
    event_data,
    finish_reason,
)
from rowcast.frontend.api.openai.response.types import (
    Completion,
    CompletionChoice,
    Usage,
)
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.reply.replies import Piece, Replies
from rowcast.frontend.reply.text import Place
from rowcast.frontend.request.prompt import Prompt
from rowcast.frontend.request.request import Request
from rowcast.frontend.response import Response
from rowcast.frontend.served_model import ServedModel
from rowcast.frontend.turns import in_turns
from rowcast.text.rules.schema_rule import Rule
from rowcast.text.tokens.tokenizer import Tokenizer

MAX_TOKENS = 16
_FORMS = "a string, a list of strings, of token ids, or of lists of token ids"


def completions(frontend: Frontend, request: Request) -> Response:
    """Answer one request."""
    body, served = read(frontend, request, CompletionBody)
    fill_in(body, served.generation)
    rule = grammar_of(served, request, body)
    parsed = _parsed(served, request, body, rule)
    show = partial(CompletionView, served.tokenizer, body)
    return with_unenforced(answer(frontend, request, served, parsed, show), rule)


def _parsed(
    served: ServedModel, request: Request, body: CompletionBody, rule: Rule
) -> ParsedRequest:
    check_options(body)
    candidates = candidates_of(
        body.n, body.best_of, stream=bool(body.stream), beams=body.use_beam_search
    )
    prompts = _tokenized(served, request, body, candidates)
    max_tokens = served.generation.max_new_tokens or MAX_TOKENS
    if body.max_tokens is not None:
        max_tokens = body.max_tokens
    if body.logprobs is not None:
        longest = max(len(tokens) for tokens, _ in prompts) if body.echo else 0
        check_amount(len(prompts) * candidates, longest, max_tokens, body.logprobs)
    params = params_of(
        body,
        served.tokenizer.vocabulary,
        served.defaults,
        max_tokens=max_tokens,
        logprobs=0 if body.logprobs is None and candidates > (body.n or 1) else body.logprobs,
        prompt_logprobs=bool(body.echo) and body.logprobs is not None,
        grammar=rule.grammar,
    )
    return parsed_request(
        served, request, body, prompts, params, kind="cmpl", candidates=candidates
    )


def _tokenized(
    served: ServedModel, request: Request, body: CompletionBody, candidates: int
) -> list[tuple[tuple[int, ...], str]]:
    prompts = prompts_of(body.prompt)
    if len(prompts) * candidates > REPLIES:
        raise InvalidField("prompt", f"requests more than {REPLIES} replies; send fewer prompts")
    return [_prompt(served, request, body, prompt) for prompt in prompts]


def _prompt(
    served: ServedModel, request: Request, body: CompletionBody, prompt: str | list[int]
) -> tuple[tuple[int, ...], str]:
    if isinstance(prompt, str):
        special = body.add_special_tokens is not False
        return served.encode(request, prompt, special=special), prompt
    tokens = checked_tokens("prompt", prompt, served.tokenizer.vocabulary)
    return tokens, served.decode(request, tokens) if body.echo else ""


def prompts_of(prompt: Any, name: str = "prompt") -> list[str | list[int]]:
    """Return a string, strings, token ids, or lists of token ids as a list of prompts.

    `name`: of the field.
    """
    prompts = [prompt] if isinstance(prompt, str) or _are_tokens(prompt) else prompt
    if not isinstance(prompts, list) or not (
        _are_strings(prompts) or all(map(_are_tokens, prompts))
    ):
        raise InvalidField(name, f"must be {_FORMS}")
    if not prompts or not all(prompts):
        raise InvalidField(name, "is empty; send at least one character or token")
    return prompts


def _are_strings(values: list[object]) -> bool:
    return all(isinstance(each, str) for each in values)


def _are_tokens(value: object) -> bool:
    return isinstance(value, list) and set(map(type, value)) == {int}


class CompletionView:
    """The replies to one body."""

    singly = False

    def __init__(
        self, tokenizer: Tokenizer, body: CompletionBody, parsed: ParsedRequest, replies: Replies
    ) -> None:
        self.parsed = parsed
        self.replies = replies
        self._body = body
        self._scores = [CompletionScores(tokenizer, body.logprobs or 0) for _ in replies]
        self._is_plain = body.logprobs is None and not body.return_token_ids
        self._texts: dict[int, ConstantParts] = {}  # around the text of a reply
        self._due = [bool(body.echo)] * len(replies)
        self._unscored = [bool(body.echo)] * len(replies)  # replies whose prompt scores are due
        self._ids_sent = [-1] * len(replies)  # token ids per reply; -1: not even the prompt's

    def begin(self) -> Iterator[bytes]:
        """Yield the prompts if they are to be echoed without scores."""
        if self._body.echo and self._body.logprobs is None:
            for reply in range(len(self.replies)):
                yield self._event(CompletionChoice(reply, self._echo(reply)))

    def piece(self, piece: Piece) -> tuple[bytes, ...]:
        if not piece.text:
            return ()
        if self._is_plain and not self.parsed.counts_within:
            return (self._text_event(piece.reply, piece.text),)
        return (self._event(self._choice(piece.reply, piece.text)),)

    def end(self, reply: int) -> tuple[bytes, ...]:
        choice = self._choice(reply, "")
        choice.finish_reason = finish_reason(self.replies.ending(reply))
        return (self._event(choice),)

    def last(self) -> bytes:
        last = self._completion([], self.parsed.last_usage(self.replies))
        last.receipt = self.parsed.receipt_of(self.replies)
        return event_data(last)

    def whole(self) -> Completion:
        texts = self.replies.texts(self._keep_scores)
        usage = self.parsed.usage(self.replies)
        choices: list[CompletionChoice] = []
        best = self._best()
        for reply in in_turns(best):
            self._keep_scores(reply)
            reason = finish_reason(self.replies.ending(reply))
            text, scores = self._echo(reply) + texts[reply], self._scores[reply].all()
            choice = CompletionChoice(len(choices), text, scores, reason)
            choices.append(encoded(self._with_ids(choice, reply)))
        whole = self._completion(choices, usage)
        whole.receipt = self.parsed.receipt_of(self.replies[reply] for reply in best)
        return whole

    def _choice(self, reply: int, text: str) -> CompletionChoice:
        """Return `text` with its tokens' scores, preceded by the prompt while that is due."""
        places = self._places(reply)
        scores = self._scores[reply].of(places) if places else None
        return self._with_ids(CompletionChoice(reply, self._echo(reply) + text, scores), reply)

    def _with_ids(self, choice: CompletionChoice, reply: int) -> CompletionChoice:
        """Add the token ids that were not sent yet, if they are requested."""
        if self._body.return_token_ids:
            read, sent = self.replies[reply].tokens, self._ids_sent[reply]
            choice.token_ids = self.replies[reply].choice.tokens[max(0, sent) : read]
            if sent < 0:
                choice.prompt_token_ids = list(self._prompt_of(reply).tokens)
            self._ids_sent[reply] = read
        return choice

    def _keep_scores(self, reply: int) -> None:
        self._scores[reply].add(self._places(reply))

    def _places(self, reply: int) -> list[Place]:
        """Return the tokens whose scores were not sent yet, an echoed prompt's first."""
        if self._body.logprobs is None:
            return []
        places, ended = self.replies[reply].places(), self.replies[reply].ending is not None
        if self._unscored[reply] and (places or ended):
            self._unscored[reply] = False
            first = Place(self._prompt_of(reply).tokens[0], None)
            places = [first, *self.replies[reply].scored, *places]
        return places

    def _echo(self, reply: int) -> str:
        """Return the prompt's text, once, if it is to be echoed."""
        due, self._due[reply] = self._due[reply], False
        return self._prompt_of(reply).text if due else ""

    def _prompt_of(self, reply: int) -> Prompt:
        return self.parsed.prompts[reply // self.parsed.candidates]

    def _best(self) -> list[int]:
        """Return the replies to send: the likeliest candidates of each prompt, or all."""
        candidates, choices = self.parsed.candidates, self.parsed.choices
        best: list[int] = []
        for start in range(0, len(self.replies), candidates):
            best += self.replies.likeliest(range(start, start + candidates), choices)
        return best

    def _text_event(self, reply: int, text: str) -> bytes:
        """Return the event of more text that has no scores, no token ids and no usage."""
        parts = self._texts.get(reply)
        if parts is None:
            choice = CompletionChoice(reply, GAP)
            parts = ConstantParts(self._completion([choice], self.parsed.no_usage))
            self._texts[reply] = parts
        return parts.around(text)

    def _event(self, choice: CompletionChoice) -> bytes:
        """Return the event of one choice."""
        parsed = self.parsed
        usage = parsed.usage(self.replies) if parsed.counts_within else parsed.no_usage
        return event_data(self._completion([choice], usage))

    def _completion(
        self, choices: list[CompletionChoice], usage: Usage | UnsetType | None = UNSET
    ) -> Completion:
        parsed = self.parsed
        return Completion(
            id=parsed.id,
            created=parsed.created,
            model=parsed.model,
            choices=choices,
            usage=usage,
            system_fingerprint=parsed.fingerprint,
            seed=parsed.seed,
        )
