"""From a request in flight to what an LLM returns for it."""

from collections.abc import Sequence
from typing import Any, cast

import msgspec

from rowcast.frontend.api.openai.response.calls import joined
from rowcast.frontend.api.openai.response.logprobs import token_text
from rowcast.frontend.reply.text import Place
from rowcast.offline.generation.in_flight import Flight, Reply
from rowcast.offline.generation.prepared import Prepared
from rowcast.offline.outputs import (
    CompletionOutput,
    FinishReason,
    Logprob,
    Logprobs,
    PromptLogprobs,
    RequestOutput,
    Score,
)
from rowcast.text.tokens.tokenizer import Tokenizer, decoded


def output_of(flight: Flight, tokenizer: Tokenizer) -> RequestOutput:
    """Return a request with what its replies have so far. Raises what made it fail."""
    if flight.failure is not None:
        raise flight.failure
    request = flight.request
    replies = _returned(flight)
    return RequestOutput(
        request_id=flight.name,
        prompt=request.text,
        prompt_token_ids=list(request.prompt.tokens),
        outputs=[_completion(flight, *each, tokenizer) for each in enumerate(replies)],
        finished=flight.finished,
        seed=request.prompt.seed,
        prompt_logprobs=_prompt_logprobs(flight, tokenizer),
        num_cached_tokens=replies[0].source.cached_tokens() if replies else 0,
    )


def score_of(flight: Flight, start: int) -> Score:
    """Return the log-probabilities of a prompt's tokens from `start` on."""
    if flight.failure is not None:
        raise flight.failure
    tokens = flight.request.prompt.tokens
    logprobs = [None, *(place.logprob for place in flight.replies[0].source.scored)]
    return Score(list(tokens[start:]), logprobs[start:])


def _returned(flight: Flight) -> list[Reply]:
    """Return the likeliest of the candidates, once all have ended; until then, the first ones."""
    count, replies = flight.request.recipe.count, flight.replies
    if len(replies) > count and flight.finished:
        replies = sorted(replies, key=lambda reply: -reply.source.mean_logprob)
    return replies[:count]


def _completion(flight: Flight, index: int, reply: Reply, tokenizer: Tokenizer) -> CompletionOutput:
    request, tokens = flight.request, reply.tokens
    scored = request.recipe.logprobs is not None
    stop = _stop_string(request, reply, tokenizer)
    return CompletionOutput(
        index=index,
        text=reply.text + (stop or "" if request.recipe.shows_stop else ""),
        token_ids=tokens,
        cumulative_logprob=sum(each.logprob or 0.0 for each in reply.places) if scored else None,
        logprobs=_logprobs(reply.places, request.recipe.logprobs, tokenizer),
        finish_reason=_reason(flight, reply),
        stop_reason=stop,
        message=_message(flight, index, reply) if flight.finished else None,
    )


def _reason(flight: Flight, reply: Reply) -> FinishReason | None:
    ending = reply.source.ending
    if ending is None:
        return "abort" if flight.aborted else None
    return cast("FinishReason", ending.reason)


def _stop_string(request: Prepared, reply: Reply, tokenizer: Tokenizer) -> str | None:
    """Return the stop string that ended a reply: the one that its tokens spell after its text."""
    ending, stops = reply.source.ending, request.prompt.stop
    if ending is None or ending.reason != "stop" or not stops:
        return None
    after = decoded(tokenizer, reply.tokens)[len(reply.text) :]
    return next((each for each in stops if after.startswith(each)), None)


def _logprobs(places: Sequence[Place], count: int | None, tokenizer: Tokenizer) -> Logprobs | None:
    if count is None:
        return None
    return [_named(place, count, tokenizer) for place in places]


def _prompt_logprobs(flight: Flight, tokenizer: Tokenizer) -> PromptLogprobs | None:
    count = flight.request.recipe.prompt_logprobs
    if count is None or not flight.replies:
        return None
    return [None, *(_named(each, count, tokenizer) for each in flight.replies[0].source.scored)]


def _named(place: Place, count: int, tokenizer: Tokenizer) -> dict[int, Logprob]:
    """Return the token at a place, and the likeliest tokens there."""
    ranks = {token: rank for rank, (token, _) in enumerate(place.top, 1)}
    likeliest = {
        token: Logprob(logprob, ranks[token], token_text(tokenizer, token))
        for token, logprob in place.top[:count]
    }
    own = Logprob(place.logprob or 0.0, ranks.get(place.token), token_text(tokenizer, place.token))
    return {place.token: own, **likeliest}


def _message(flight: Flight, index: int, reply: Reply) -> dict[str, Any] | None:
    """Return the message of a chat's reply."""
    if flight.request.reader is None:
        return None
    reader = flight.request.reader(flight.name, index)
    deltas = [*reader.feed(reply.text, reply.source.tokens), *reader.finish()]
    message: dict[str, Any] = msgspec.to_builtins(joined(deltas))
    return message
