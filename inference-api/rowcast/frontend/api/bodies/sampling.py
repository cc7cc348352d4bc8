"""From a body's parameters to the sampler's, with the checks that types cannot express."""

from collections.abc import Iterable
from typing import Any

from msgspec import structs

from rowcast.errors import InvalidField
from rowcast.frontend.api.bodies.beams import beams_of, check_beams
from rowcast.frontend.api.bodies.types import ChatBody, CompletionBody, Sampling
from rowcast.frontend.request.defaults import Defaults
from rowcast.models.generation import Generation
from rowcast.parameter import MOST, Biases, Parameter
from rowcast.sampling_params import PARAMETERS, SamplingParams

# Of several faults, those in lists of tokens are reported before those in biases.
SENT = {
    each.openai_name: each
    for each in sorted(PARAMETERS, key=lambda each: each.type == Biases)
    if each.openai
}
FLOORS = {each.name: each.floor for each in PARAMETERS if each.floor is not None}


def params_of(
    body: Sampling,
    vocabulary: int,
    defaults: Defaults,
    *,
    max_tokens: int,
    logprobs: int | None = None,
    prompt_logprobs: bool = False,
    grammar: str = "",
) -> SamplingParams:
    """Return the sampling parameters. `logprobs`: how many of the likeliest tokens are named.

    Parameters that the body omits take the defaults of the model's own configuration.
    """
    values = structs.asdict(defaults) | _sent(body, vocabulary) | beams_of(body)
    check_beams(values, grammar=grammar, prompt_logprobs=prompt_logprobs)
    for name in values.keys() & FLOORS.keys():
        values[name] = max(FLOORS[name], values[name])
    values["min_tokens"] = min(values.get("min_tokens", 0), max_tokens)
    return SamplingParams(
        max_tokens=max_tokens,
        logprobs=logprobs is not None,
        top_logprobs=logprobs or 0,
        prompt_logprobs=prompt_logprobs,
        grammar=grammar,
        **values,
    )


def _sent(body: Sampling, vocabulary: int) -> dict[str, Any]:
    """Return the body's parameters, in the sampler's form."""
    sent = {field: value for field in SENT if (value := getattr(body, field)) is not None}
    return {
        SENT[field].name: _converted(SENT[field], field, value, vocabulary)
        for field, value in sent.items()
        if not _is_default(SENT[field], value)
    }


def _is_default(parameter: Parameter, value: object) -> bool:
    """True if it equals the default and no model has its own; a penalty of -0.0 equals 0.0."""
    return parameter.configured is None and bool(value == parameter.default)


def _converted(parameter: Parameter, field: str, value: Any, vocabulary: int) -> Any:
    if isinstance(value, dict):
        return _biases(field, value, vocabulary)
    if not isinstance(value, list):
        return value
    if parameter.openai and parameter.openai.refuse_empty and not value:
        raise InvalidField(field, "is empty; name at least one token")
    return checked_tokens(field, value, vocabulary)


def fill_in(body: CompletionBody | ChatBody, generation: Generation) -> None:
    """Set the number of replies to that of the model's configuration, if the body omits it."""
    if body.n is None and generation.num_return_sequences > 1:
        candidates = body.best_of if isinstance(body, CompletionBody) else None
        body.n = min(generation.num_return_sequences, candidates or MOST)


def candidates_of(
    n: int | None, best_of: int | None, *, stream: bool, beams: bool | None = False
) -> int:
    """Return how many replies are computed for `n` that are returned.

    A beam search returns its best hypotheses itself, whatever `best_of` is.
    """
    choices = n or 1
    candidates = best_of or choices
    if candidates < choices:
        raise InvalidField("best_of", f"is {candidates}; it must be at least n, which is {choices}")
    if beams:
        return choices
    if stream and candidates > choices:
        raise InvalidField(
            "best_of", "cannot be streamed, because the best is known only at the end"
        )
    return candidates


def check_options(body: CompletionBody | ChatBody) -> None:
    """Refuse options of what the body does not request."""
    if body.stream_options is not None and not body.stream:
        raise InvalidField("stream_options", "is only allowed when stream is true")
    if isinstance(body, ChatBody) and body.top_logprobs is not None and not body.logprobs:
        raise InvalidField("top_logprobs", "is only allowed when logprobs is true")


def checked_tokens(field: str, tokens: Iterable[int], vocabulary: int) -> tuple[int, ...]:
    """Return the token ids; raise if one is outside the vocabulary."""
    checked = tuple(tokens)
    if checked and not 0 <= min(checked) <= max(checked) < vocabulary:
        raise InvalidField(
            field, f"contains a token id outside the vocabulary, which has {vocabulary}"
        )
    return checked


def _biases(field: str, biases: dict[str, float], vocabulary: int) -> Biases:
    for name in biases:
        checked_tokens(f'{field}["{name}"]', [int(name)], vocabulary)
    return tuple(sorted((int(name), bias) for name, bias in biases.items()))
