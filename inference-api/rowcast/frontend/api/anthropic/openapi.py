"""OpenAPI operations of the Messages API."""

from dataclasses import replace

from rowcast.frontend.api.anthropic import types as answers
from rowcast.frontend.api.anthropic.body import CountMessageBody, MessageBody
from rowcast.frontend.api.anthropic.errors import ERROR, OVERLOADED
from rowcast.frontend.api.openai.openapi import MODELS
from rowcast.frontend.api.openai.response import model_types
from rowcast.frontend.api.operation import (
    BODY_ERRORS,
    EVENTS,
    JSON,
    REPLY_ERRORS,
    Operation,
    event,
    reference,
)

_EVENTS = (
    answers.MessageStart,
    answers.BlockStart,
    answers.BlockDelta,
    answers.BlockStop,
    answers.MessageDelta,
    answers.MessageStop,
    answers.Ping,
)
_EXAMPLE = {
    "model": "falcon40b",
    "max_tokens": 32,
    "messages": [{"role": "user", "content": "What is your favorite condiment?"}],
}
_COUNTED = {name: value for name, value in _EXAMPLE.items() if name != "max_tokens"}

_MESSAGES = (
    Operation(
        method="post",
        path="/v1/messages",
        tag="Anthropic",
        summary="The model's message in a conversation",
        body=MessageBody,
        example=_EXAMPLE,
        answers={
            JSON: answers.Message,
            EVENTS: event({"anyOf": [*map(reference, _EVENTS), ERROR]}),
        },
        error=ERROR,
        errors=tuple(sorted((*REPLY_ERRORS, OVERLOADED))),
        named=_EVENTS,
        replies=True,
    ),
    Operation(
        method="post",
        path="/v1/messages/count_tokens",
        tag="Anthropic",
        summary="How many tokens the prompt of a message has",
        body=CountMessageBody,
        example=_COUNTED,
        answers={JSON: answers.TokensCounted},
        error=ERROR,
        errors=BODY_ERRORS,
    ),
)
_LISTS = {
    "/v1/models": (model_types.ModelList, answers.ListedModels),
    "/v1/models/{model}": (model_types.Model, answers.ListedModel),
}


def _in_two_forms(operation: Operation) -> Operation:
    """Return an operation of OpenAI's dialect whose answer may have Anthropic's form."""
    return replace(
        operation,
        answers={JSON: _LISTS[operation.path]},
        error={"anyOf": [operation.error, ERROR]},
    )


OPERATIONS = (*_MESSAGES, *map(_in_two_forms, MODELS))
