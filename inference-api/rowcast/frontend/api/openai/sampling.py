"""From a body's parameters to the sampler's, with the checks that types cannot hold."""

from collections.abc import Iterable

from rowcast.errors import InvalidField
from rowcast.frontend.api.openai.bodies import Sampling
from rowcast.sampling_params import SamplingParams


def params_of(
    body: Sampling,
    vocabulary: int,
    *,
    max_tokens: int,
    logprobs: int | None = None,
    prompt_logprobs: bool = False,
    grammar: str = "",
) -> SamplingParams:
    """What the sampler is asked. `logprobs`: how many of the likeliest tokens are named."""
    return SamplingParams(
        max_tokens=max_tokens,
        temperature=1.0 if body.temperature is None else body.temperature,
        top_k=max(0, body.top_k or 0),
        top_p=1.0 if body.top_p is None else max(body.top_p, 1e-9),  # 0 leaves the likeliest
        min_p=body.min_p or 0.0,
        min_tokens=min(body.min_tokens or 0, max_tokens),
        ignore_eos=bool(body.ignore_eos),
        repetition_penalty=body.repetition_penalty or 1.0,
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


def check_stream_options(body: Sampling) -> None:
    """Options of a stream are for streams."""
    if body.stream_options is not None and not body.stream:
        raise InvalidField("stream_options", "is only allowed when stream is true")


def checked_tokens(field: str, tokens: Iterable[int], vocabulary: int) -> tuple[int, ...]:
    """Token ids that the model knows."""
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
    checked_tokens("logit_bias", map(int, biases), vocabulary)
    return tuple(sorted((int(name), bias) for name, bias in biases.items()))
