"""Checks that a prompt can be computed: its tokens, its length, and the range of every parameter.

Frontends validate what callers send, and with better messages. This is the backend's own defense:
whatever a peer sends, the engine receives only values that it supports. A fault is a sentence for
the caller. Knows no waiting line: whether there is room is decided by `admission`.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from itertools import chain
from math import isfinite
from typing import Any

from rowcast.engine.engine import CacheMemory, Engine
from rowcast.parameter import Biases, Parameter
from rowcast.sampling_params import LENGTH_PENALTY, PARAMETERS, SamplingParams
from rowcast.wire import Embed, RejectReason, Submit

SCORES_LIMIT = 2**20  # log-probabilities per prompt, which a frontend holds at once
NAME_LENGTH = 1024  # maximum characters of a session's or team's name
SEEDS = 2**64
MOST = 2**31  # limit for counts, and for token ids in parameters, which may be unknown ones
LARGEST = 1e300
MOST_LOGITS = 16
BEAM_STOPS = 16  # stop tokens; each needs one more candidate of each beam


@dataclass(frozen=True, slots=True)
class Fault:
    """The reason why a prompt is refused."""

    reason: RejectReason
    message: str


class PromptCheck:
    """Validates prompts for one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._known: tuple[int, ...] = ()  # the last prompt whose tokens were all valid

    def fault_of(self, submit: Submit) -> Fault | None:
        """Return the first fault of a prompt; None if it can be computed."""
        if not submit.prompt:
            return Fault("empty", "the prompt has no tokens; send some text")
        vocabulary = self._engine.vocabulary
        problems = chain(
            _places(submit),
            _parameters(submit.params, vocabulary),
            _beams(submit, self._engine.rows),
            _vectors(submit, self._engine),
        )
        if problem := next(problems, ""):
            return Fault("invalid", problem)
        if too_long := _too_long(submit, self._engine) or _too_large(submit, self._engine):
            return Fault("too_long", too_long)
        foreign = self._foreign_prompt(submit.prompt) or _foreign(
            "delivered reply", submit.delivered or (), vocabulary
        )
        return Fault("invalid", foreign) if foreign else None

    def _foreign_prompt(self, prompt: tuple[int, ...]) -> str:
        """Check prompt tokens, only once for the choices of one prompt, which share the tuple."""
        if prompt is self._known:
            return ""
        foreign = _foreign("prompt", prompt, self._engine.vocabulary)
        if not foreign:
            self._known = prompt
        return foreign


def _places(submit: Submit) -> Iterator[str]:
    """Yield faults outside the prompt and the parameters."""
    names = {"session": submit.session, "team": submit.team, "stream": submit.stream}
    for name, text in names.items():
        if len(text) > NAME_LENGTH:
            yield f"the {name}'s name has {len(text)} characters; at most {NAME_LENGTH} are allowed"
    yield from _outside("choice", submit.choice, 0, MOST)
    yield from _outside("choices", submit.choices, 1, MOST)
    yield from _outside("deaths", submit.deaths, 0, MOST)
    yield from _outside("seed", submit.seed, 0, SEEDS - 1)


def _vectors(submit: Submit, engine: Engine) -> Iterator[str]:
    """Yield faults of a prompt that is to become a vector: it has no tokens and no scores."""
    if not isinstance(submit, Embed):
        if engine.classifies:
            yield (
                "the model is a classifier, which writes no replies: send documents to "
                "/v1/rerank, or texts to /v1/embeddings"
            )
        return
    if submit.pooling == "logits":
        yield from _next_tokens(submit, engine)
    elif not engine.dimensions:
        yield (
            "this build computes no embeddings: its image of packed weights was saved by an "
            "earlier version; save it again"
        )
    if submit.params.max_tokens or submit.params.prompt_logprobs or submit.delivered:
        yield "a prompt that becomes a vector has neither reply tokens nor scores"
    if submit.pooling == "label" and not engine.classifies:
        yield "the model is no classifier: it has no label"


def _next_tokens(submit: Embed, engine: Engine) -> Iterator[str]:
    """Yield faults of a prompt whose vector is some logits of the token that would follow."""
    if engine.classifies:
        yield "the model is a classifier: it has no logits of tokens"
    if not 1 <= len(submit.logits) <= MOST_LOGITS:
        yield f"{len(submit.logits)} logits are requested; send 1 to {MOST_LOGITS}"
    yield from filter(None, [_foreign("list of logits", submit.logits, engine.vocabulary)])


def _parameters(params: SamplingParams, vocabulary: int) -> Iterator[str]:
    """Yield faults of the sampling parameters."""
    for each in PARAMETERS:
        yield from _faults(each, getattr(params, each.name), vocabulary)
    yield from _outside("top_logprobs", params.top_logprobs, 0, vocabulary)


def _beams(submit: Submit, rows: int) -> Iterator[str]:
    """Yield faults of a beam search."""
    params = submit.params
    if not params.beams:
        return
    if not 2 <= params.beams <= rows:
        yield (
            f"a beam search has 2 to {rows} beams, because each needs a row; {params.beams} are "
            "requested: send another best_of, or n"
        )
    yield from _outside("choice", submit.choice, 0, params.beams - 1)
    yield from _outside("length_penalty", params.length_penalty, -LENGTH_PENALTY, LENGTH_PENALTY)
    if params.prompt_logprobs or params.grammar:
        yield "a beam search neither scores its prompt nor follows a grammar"
    if len(params.stop_token_ids) > BEAM_STOPS:
        yield (
            f"stop_token_ids lists {len(params.stop_token_ids)} tokens; a beam search may have "
            f"at most {BEAM_STOPS}"
        )


def _faults(parameter: Parameter, value: Any, vocabulary: int) -> Iterator[str]:
    name = parameter.name
    if parameter.type in (int, float):
        yield from _outside(name, value, *_range(parameter))
    if parameter.type == Biases and not all(isfinite(bias) for _, bias in value):
        yield f"{name} has a value that is not finite"
    most = (parameter.bounds and parameter.bounds.max_length) or vocabulary
    yield from _listed(name, parameter.tokens(value), most)


def _range(parameter: Parameter) -> tuple[float, float]:
    """Return what the engine can compute, which is more than the dialects allow."""
    least, most = (0, MOST) if parameter.type is int else (-LARGEST, LARGEST)
    return least if parameter.least is None else parameter.least, most


def _outside(name: str, value: float, least: float, most: float) -> Iterator[str]:
    """Yield a fault if the value is out of range; a NaN always is."""
    if not least <= value <= most:
        yield f"{name} is {value}; it must be from {least:g} to {most:g}"


def _listed(name: str, tokens: Collection[int], most: int) -> Iterator[str]:
    if len(tokens) > most:
        yield f"{name} lists {len(tokens)} tokens; at most {most} are allowed"
    elif tokens and not 0 <= min(tokens) <= max(tokens) < MOST:
        yield f"{name} lists a token that is not between 0 and {MOST - 1}"


def _foreign(name: str, tokens: tuple[int, ...], vocabulary: int) -> str:
    """Name the first token that is not in the model's vocabulary; empty if there is none."""
    if not tokens or 0 <= min(tokens) <= max(tokens) < vocabulary:
        return ""
    outside = next(token for token in tokens if not 0 <= token < vocabulary)
    return f"token {outside} of the {name} is not between 0 and {vocabulary - 1}"


def _too_large(submit: Submit, engine: Engine) -> str:
    """Name the memory that a new search needs if there is not so much; empty if there is."""
    params, memory, length = submit.params, engine.memory, len(submit.prompt)
    more = min(engine.context_length - length, params.max_tokens)
    need = params.beams * memory.up(length + more)
    if need <= memory.tokens or submit.delivered is not None:
        return ""
    return (
        f"a beam search with {params.beams} beams, each of {length} prompt tokens and up to "
        f"{more} more, needs memory for {need} tokens; there is memory for "
        f"{_arithmetic(memory)}: request fewer beams or a lower max_tokens, or set a higher "
        "KV_MEMORY on the server"
    )


def _arithmetic(memory: CacheMemory) -> str:
    size = memory.tokens * memory.token_bytes
    return f"{memory.tokens} ({size} bytes, {memory.token_bytes} for each)"


def _too_long(submit: Submit, engine: Engine) -> str:
    """Name what is too long about a prompt; empty if nothing is."""
    length, params, context = len(submit.prompt), submit.params, engine.context_length
    if length > context - min(1, params.max_tokens):
        if engine.memory.shortens:
            return (
                f"the prompt has {length} tokens; there is memory for "
                f"{_arithmetic(engine.memory)}, and a reply needs at least one of them: shorten "
                "it, or set a higher KV_MEMORY on the server"
            )
        return (
            f"the prompt has {length} tokens; the model's context holds {context}, "
            "and a reply needs at least one of them: shorten it"
        )
    if (delivered := len(submit.delivered or ())) > context - length:
        return (
            f"prompt and delivered reply have {length + delivered} tokens; the model's context "
            f"holds {context}"
        )
    numbers = length * (1 + params.top_logprobs)
    if params.prompt_logprobs and numbers > SCORES_LIMIT:
        return (
            f"log-probabilities of {length} prompt tokens with {params.top_logprobs} alternatives "
            f"each are {numbers} numbers; at most {SCORES_LIMIT} are allowed: shorten the prompt, "
            "or request fewer alternatives"
        )
    return ""
