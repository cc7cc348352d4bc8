"""OpenAPI operations of the OpenAI dialect, from the types that it parses and returns."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rowcast.frontend.api.bodies import types as bodies
from rowcast.frontend.api.openai.replay import ReplayBody, Replayed
from rowcast.frontend.api.openai.response import model_types
from rowcast.frontend.api.openai.response import types as answers
from rowcast.frontend.api.operation import (
    BODY_ERRORS,
    EVENTS,
    JSON,
    READ_ERRORS,
    REPLY_ERRORS,
    Described,
    Operation,
    Schema,
    event,
    reference,
)

ERROR: dict[str, Any] = {
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {
            "type": "object",
            "required": ["message", "type", "param", "code"],
            "properties": {
                "message": {"type": "string"},
                "type": {"type": "string"},
                "param": {"type": ["string", "null"]},
                "code": {"type": ["string", "null"]},
            },
        }
    },
}


def _events(chunk: type) -> Schema:
    """Return the schema of events: chunks, or an error; the last event's data is [DONE]."""
    return event({"anyOf": [reference(chunk), ERROR]}, "[DONE]")


_MESSAGES = [{"role": "user", "content": "What is your favorite condiment?"}]
_COMPLETION = {"model": "falcon40b", "prompt": "San Francisco is a", "max_tokens": 7}
_CHAT = {"model": "falcon40b", "messages": _MESSAGES, "max_tokens": 32}
_REPLAY = {
    "version": 1,
    "seed": 7,
    "parameters": {"max_tokens": 7},
    "stop": [],
    "prompts": [[72, 105]],
    "replies": [{"prompt": 0, "choice": 0}],
}


def post(
    path: str,
    summary: str,
    body: Described,
    answered: Mapping[str, Described],
    example: Mapping[str, Any],
    *named: type,
) -> Operation:
    """Return an operation that reads a body. `named`: types to which schemas refer by name."""
    return Operation(
        method="post",
        path=path,
        tag="OpenAI",
        summary=summary,
        body=body,
        example=example,
        answers=answered,
        error=ERROR,
        errors=BODY_ERRORS,
        named=named,
    )


def _both(before: str) -> tuple[Operation, ...]:
    """Return the operations of tokenize and detokenize, which are served at two places."""
    return (
        post(
            f"{before}/tokenize",
            "The token ids of a text or of messages",
            (bodies.TokenizeText, bodies.TokenizeMessages),
            {JSON: answers.Tokenized},
            {"prompt": "Hello"},
        ),
        post(
            f"{before}/detokenize",
            "The text of token ids",
            bodies.DetokenizeBody,
            {JSON: answers.Detokenized},
            {"tokens": [72, 105]},
        ),
    )


def computing(operation: Operation) -> Operation:
    """Return the operation marked as one that computes a reply."""
    return replace(operation, errors=REPLY_ERRORS, replies=True)


_OPERATIONS = (
    computing(
        post(
            "/v1/completions",
            "A text continued",
            bodies.CompletionBody,
            {JSON: answers.Completion, EVENTS: _events(answers.Completion)},
            _COMPLETION,
        )
    ),
    computing(
        post(
            "/v1/chat/completions",
            "Messages answered",
            bodies.ChatBody,
            {JSON: answers.ChatCompletion, EVENTS: _events(answers.ChatChunk)},
            _CHAT,
            answers.ChatChunk,
        )
    ),
    post(
        "/v1/count_tokens",
        "How many tokens a prompt would have",
        bodies.CountBody,
        {JSON: answers.TokenCount},
        {"model": "falcon40b", "conversation": "Hello, how are you?"},
    ),
    computing(
        post(
            "/v1/replay",
            "The replies of a receipt, computed again",
            ReplayBody,
            {JSON: Replayed},
            _REPLAY,
        )
    ),
    *_both("/v1"),
    *_both(""),
)
MODELS = (
    Operation(
        method="get",
        path="/v1/models",
        tag="OpenAI",
        summary="The served models",
        answers={JSON: model_types.ModelList},
        error=ERROR,
    ),
    Operation(
        method="get",
        path="/v1/models/{model}",
        tag="OpenAI",
        summary="One model",
        answers={JSON: model_types.Model},
        error=ERROR,
        errors=(404, *READ_ERRORS),
        stands_for_model=True,
    ),
)

_ALSO_WITHOUT_BASE = ("/v1/completions", "/v1/chat/", "/v1/models")

OPERATIONS = (
    *_OPERATIONS,
    *(
        replace(each, path=each.path.removeprefix("/v1"))
        for each in (*_OPERATIONS, *MODELS)
        if each.path.startswith(_ALSO_WITHOUT_BASE)
    ),
)
