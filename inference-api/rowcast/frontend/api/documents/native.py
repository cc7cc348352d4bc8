"""OpenAPI operations of the native dialect, where numbers and booleans may come as strings."""

from typing import Any

from rowcast.frontend.api.errors import NATIVE_ERROR
from rowcast.frontend.api.operation import EVENTS, JSON, PLAIN, REPLY_ERRORS, Operation, event
from rowcast.frontend.request.deadline import LONGEST, SHORTEST
from rowcast.frontend.request.keep_alive import KEEP_ALIVE
from rowcast.parameter import Native
from rowcast.sampling_params import PARAMETERS
from rowcast.text.stop import LONGEST as LONGEST_STOP

_FLAG = {"anyOf": [{"type": "boolean"}, {"enum": ["true", "false"]}, {"type": "null"}]}


def _number(
    kind: str, low: float, high: float, written: str, default: float | None = None
) -> dict[str, Any]:
    """Return the schema of a number that may come as a string of the form `written`."""
    return {
        "anyOf": [
            {"type": kind, "minimum": low, "maximum": high},
            {"type": "string", "pattern": f"^({written})$"},
            {"type": "null"},
        ],
        "default": default,
        "description": f"From {low:g} to {high:g}",
    }


def _sampling(kind: type, field: Native) -> dict[str, Any]:
    named = "integer" if kind is int else "number"
    return _number(named, field.least, field.most, field.written, field.default)


BODY: dict[str, Any] = {
    "type": "object",
    "additionalProperties": False,
    "required": ["text"],
    "properties": {
        "text": {"type": "string", "minLength": 1, "description": "The prompt"},
        **{each.name: _sampling(each.type, each.native) for each in PARAMETERS if each.native},
        "stop_sequence": {
            "type": ["string", "null"],
            "maxLength": LONGEST_STOP,
            "description": "Ends the reply",
        },
        "seed": _number("integer", 0, 2**63 - 1, "[0-9]{1,18}"),
        "stream": {**_FLAG, "default": True},
        "return_prompt": {**_FLAG, "default": False},
        "receipt": {**_FLAG, "default": False, "description": "Not in a stream of raw text"},
        "timeout": {
            **_number("number", SHORTEST, LONGEST, r"[1-9][0-9]{0,3}(\.[0-9]{1,9})?"),
            "description": "Seconds that the reply may take",
        },
        "keep_alive": {
            "type": ["number", "string", "null"],
            "pattern": KEEP_ALIVE,
            "description": "Seconds to keep the model loaded afterwards, or a string like 5m",
        },
        "cache_salt": {
            "type": ["string", "null"],
            "description": "Prompts with another one do not reuse what was computed for this one",
        },
        "session_id": {"type": ["string", "null"], "description": "Ignored"},
        "user_id": {"type": ["string", "null"], "description": "Ignored"},
    },
}
ANSWER = {
    "type": "object",
    "required": ["answer", "finish_reason", "prompt_tokens", "completion_tokens", "seed"],
    "properties": {
        "answer": {"type": "string"},
        "finish_reason": {"enum": ["stop", "length"]},
        "prompt_tokens": {"type": "integer"},
        "cached_tokens": {
            "type": "integer",
            "description": "Tokens of the prompt that were computed for an earlier request",
        },
        "completion_tokens": {"type": "integer"},
        "seed": {"type": "integer"},
        "receipt": {"$ref": "#/components/schemas/Receipt"},
    },
}
EXAMPLE = {"text": "What is your favorite condiment?", "max_tokens": 64, "seed": 7}


def _operation(path: str, summary: str, form: str) -> Operation:
    return Operation(
        method="post",
        path=path,
        tag="native",
        summary=summary,
        body=BODY,
        example=EXAMPLE,
        answers={form: event({}) if form == EVENTS else {"type": "string"}, JSON: ANSWER},
        error=NATIVE_ERROR,
        errors=REPLY_ERRORS,
        replies=True,
        stands_for_model="{model}" in path,
    )


ROOT = _operation("/", "As /inference/{model}, with the default model", PLAIN)
OPERATIONS = (
    _operation("/inference/{model}", "A reply as raw text, streamed", PLAIN),
    _operation("/predictions/{model}", "As /inference/{model}", PLAIN),
    _operation("/chat/{model}", "A reply as server-sent events", EVENTS),
)
