"""From a body's parameters to the sampler's, with the checks that types cannot express."""

from collections.abc import Iterable
from typing import TypeVar

from rowcast.errors import InvalidField
from rowcast.frontend.api.openai.request.types import ChatBody, CompletionBody, Sampling
from rowcast.frontend.request.defaults import Defaults
from rowcast.sampling_params import SamplingParams

Number = TypeVar("Number", int, float)


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
    return SamplingParams(
        max_tokens=max_tokens,
        temperature=_given(body.temperature, defaults.temperature),
        top_k=max(0, _given(body.top_k, defaults.top_k)),
        top_p=max(1e-9, _given(body.top_p, defaults.top_p)),  # 0 leaves the likeliest
        min_p=_given(body.min_p, defaults.min_p),
        min_tokens=min(body.min_tokens or 0, max_tokens),
        ignore_eos=bool(body.ignore_eos),
        repetition_penalty=_given(body.repetition_penalty, defaults.repetition_penalty),
        presence_penalty=body.presence_penalty or 0.0,
        frequency_penalty=body.frequency_penalty or 0.0,
        stop_token_ids=_tokens("stop_token_ids", body.stop_token_ids, vocabulary),
        allowed_tokens=_allowed(body.allowed_token_ids, vocabulary),
        logit_bias=_biases(body.logit_bias, vocabulary),
        logprobs=logprobs is not None,
        top_logprobs=logprobs or 0,
        prompt_logprobs=prompt_logprobs,
        grammar=grammar,
    )


def _given(value: Number | None, default: Number) -> Number:
    return default if value is None else value


def check_options(body: CompletionBody | ChatBody) -> None:
    """Refuse options of what the body does not request."""
    if body.stream_options is not None and not body.stream:
        raise InvalidField("stream_options", "is only allowed when stream is true")
    if isinstance(body, ChatBody) and body.top_logprobs is not None and not body.logprobs:
        raise InvalidField("top_logprobs", "is only allowed when logprobs is true")


def checked_tokens(field: str, tokens: Iterable[int], vocabulary: int) -> tuple[int, ...]:
    """Return the token ids; raise if one is outside the vocabulary."""
    checked = tuple(tokens)
    if any(not 0 <= token < vocabulary for token in checked):
        raise InvalidField(field, f"holds a token id that is not below {vocabulary}")
    return checked


def _tokens(field: str, tokens: Iterable[int] | None, vocabulary: int) -> tuple[int, ...]:
    return checked_tokens(field, tokens or (), vocabulary)


def _allowed(tokens: list[int] | None, vocabulary: int) -> tuple[int, ...]:
    if tokens is not None and not tokens:
        raise InvalidField("allowed_token_ids", "is empty; name at least one token")
    return _tokens("allowed_token_ids", tokens, vocabulary)


def _biases(biases: dict[str, float] | None, vocabulary: int) -> tuple[tuple[int, float], ...]:
    if biases is None:
        return ()
    for name in biases:
        checked_tokens(f'logit_bias["{name}"]', [int(name)], vocabulary)
    return tuple(sorted((int(name), bias) for name, bias in biases.items()))
