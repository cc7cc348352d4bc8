"""From a prompt and its parameters to a request that is ready to be computed.

    Requests(served).prepared(input, params)  ──▶  Prepared

Parameters are checked, and their grammar compiled, once for all prompts that share them. Uses the
functions of the OpenAI dialect, so that replies are those of the server.
"""

import itertools
import warnings
from collections.abc import Callable
from dataclasses import dataclass

from msgspec import structs

from rowcast.errors import InvalidField, PromptTooLong, RowcastError
from rowcast.frontend.api.bodies.parsing import as_struct
from rowcast.frontend.api.bodies.rules import grammar_of
from rowcast.frontend.api.bodies.sampling import (
    candidates_of,
    checked_tokens,
    fill_in,
    params_of,
)
from rowcast.frontend.api.bodies.types import CompletionBody
from rowcast.frontend.api.openai.response.calls import MessageReader
from rowcast.frontend.request.origin import seed_of
from rowcast.frontend.request.prompt import Prompt, fresh_seed
from rowcast.frontend.request.request import Body, Request
from rowcast.frontend.served_model import ServedModel
from rowcast.offline.generation.inputs import Input
from rowcast.offline.params import SamplingParams
from rowcast.sampling_params import SamplingParams as WireParams
from rowcast.text.rules.schema_rule import Rule

MAX_TOKENS = 16  # of a reply, if neither parameters nor the model set it
LOCAL = Request(path="/", body=Body(lambda: b"{}"))  # for functions that serve requests of a team

MakeReader = Callable[[str, int], MessageReader]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recipe:
    """Parameters that are checked, for any prompt."""

    params: WireParams
    seed: int | None
    stop: tuple[str, ...]
    count: int  # replies that are returned
    candidates: int  # replies that are computed
    fills: bool  # the reply may fill the context
    logprobs: int | None
    prompt_logprobs: int | None
    shows_stop: bool  # the text includes the stop string that ended it


@dataclass(frozen=True, slots=True)
class Prepared:
    """One request, ready to be computed."""

    name: str  # in messages
    text: str | None  # of the prompt, if it was given as text
    prompt: Prompt
    recipe: Recipe
    reader: MakeReader | None = None  # of a chat: reads the message in a reply


class Seeds:
    """The seeds of requests without one: fresh ones, or a sequence that follows from one seed."""

    def __init__(self, seed: int | None) -> None:
        self._seed = seed
        self._numbers = itertools.count()

    def next(self) -> int:
        """Return the next one."""
        if self._seed is None:
            return fresh_seed()
        return seed_of(str(self._seed), str(next(self._numbers)))


class Requests:
    """Prepares the requests of one call."""

    def __init__(self, served: ServedModel, seeds: Seeds) -> None:
        """The model must be ready: its context's length is known."""
        self._served = served
        self._seeds = seeds
        self._recipes: dict[int, tuple[SamplingParams | None, Recipe]] = {}  # by identity

    def recipe(self, params: SamplingParams | None) -> Recipe:
        """Return the parameters in their final form, made once for each object."""
        if id(params) not in self._recipes:
            self._recipes[id(params)] = (params, self._recipe_of(params))
        return self._recipes[id(params)][1]

    def prepared(self, given: Input, params: SamplingParams | None) -> Prepared:
        """Return the request for a prompt. Raises RequestError, which names the prompt."""
        tokenized = Input(given.name, given.text, self._tokens(given))
        return request_for(self._served, tokenized, self.recipe(params), self._seeds)

    def _tokens(self, given: Input) -> tuple[int, ...]:
        tokenizer = self._served.tokenizer
        if given.text is not None:
            return tokenizer.encode(given.text)
        return checked_tokens(given.name, given.tokens, tokenizer.vocabulary)

    def _recipe_of(self, params: SamplingParams | None) -> Recipe:
        served = self._served
        own = SamplingParams() if params is None else params
        body = default_body(served, MAX_TOKENS) if params is None else params.checked()
        rule = grammar_of(served, LOCAL, body)
        warn_of_unenforced(rule)
        return recipe_of(served, own, body, grammar=rule.grammar)


def default_body(served: ServedModel, max_tokens: int | None) -> CompletionBody:
    """Return the model's own defaults. `max_tokens`: if the model sets none."""
    body = as_struct({"model": "", "prompt": ""}, CompletionBody)
    body.max_tokens = served.generation.max_new_tokens or max_tokens
    fill_in(body, served.generation)
    return body


def recipe_of(
    served: ServedModel, own: SamplingParams, body: CompletionBody, *, grammar: str
) -> Recipe:
    """Join parameters and the body that they make."""
    candidates = candidates_of(body.n, body.best_of, stream=False, beams=body.use_beam_search)
    count, likeliest = body.n or 1, own.likeliest
    return Recipe(
        params=params_of(
            body,
            served.tokenizer.vocabulary,
            served.defaults,
            max_tokens=_context_of(served) if body.max_tokens is None else body.max_tokens,
            logprobs=0 if likeliest is None and candidates > count else likeliest,
            prompt_logprobs=own.prompt_logprobs is not None,
            grammar=grammar,
        ),
        seed=body.seed,
        stop=body.stop_sequences,
        count=count,
        candidates=candidates,
        fills=body.max_tokens is None,
        logprobs=own.logprobs,
        prompt_logprobs=own.prompt_logprobs,
        shows_stop=own.include_stop_str_in_output,
    )


def request_for(
    served: ServedModel,
    given: Input,
    recipe: Recipe,
    seeds: Seeds,
    *,
    shown: tuple[tuple[int, str], ...] = (),
    reader: MakeReader | None = None,
) -> Prepared:
    """Join a prompt, whose tokens are known, and its parameters. Raises PromptTooLong."""
    context = _context_of(served)
    room = context - len(given.tokens)
    params = recipe.params
    if room < min(1, params.max_tokens):
        raise PromptTooLong(
            f"{given.name} has {len(given.tokens)} tokens; the model's context holds {context}, "
            "and a reply needs at least one of them: shorten it"
        )
    if recipe.fills:
        params = structs.replace(params, max_tokens=room)
    seed = seeds.next() if recipe.seed is None else recipe.seed
    prompt = Prompt(
        tokens=given.tokens,
        params=params,
        seed=seed % 2**64,
        dialect="offline",
        stop=recipe.stop,
        choices=range(recipe.candidates),
        shown=shown,
    )
    return Prepared(given.name, given.text, prompt, recipe, reader)


def warn_of_unenforced(rule: Rule) -> None:
    """Warn of keywords of a schema that replies need not follow."""
    if rule.unenforced:
        warnings.warn(f"not enforced: {'; '.join(rule.unenforced)}", stacklevel=5)


def _context_of(served: ServedModel) -> int:
    return served.status().context_length


def named(error: RowcastError, name: str) -> RowcastError:
    """Return an error whose message names the prompt."""
    if isinstance(error, InvalidField):
        return error
    return type(error)(f"{name}: {error}")
