"""OpenAPI operations of `/generate` and of TGI's routes."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from rowcast.frontend.api.documents.native import ROOT
from rowcast.frontend.api.errors import NATIVE_ERROR
from rowcast.frontend.api.generate.answer import Generated
from rowcast.frontend.api.generate.body import PromptBody, TextBody
from rowcast.frontend.api.generate.errors import PROMPT_ERROR, TGI_ERROR
from rowcast.frontend.api.generate.tgi.body import InputsBody
from rowcast.frontend.api.generate.tgi.types import GenerateResponse, Info, StreamResponse
from rowcast.frontend.api.operation import (
    EVENTS,
    JSON,
    PLAIN,
    REPLY_ERRORS,
    Described,
    Operation,
    event,
    reference,
)

_TEXT = {"type": "string"}
_EVENT = event({"anyOf": [reference(StreamResponse), TGI_ERROR]})
_PROMPT = {"prompt": "San Francisco is a", "max_tokens": 7, "temperature": 0}
_INPUTS = {"inputs": "What is Deep Learning?", "parameters": {"max_new_tokens": 20}}


def _generate(path: str, summary: str, **more: Any) -> Operation:
    described: dict[str, Any] = {
        "tag": "generate",
        "body": (PromptBody, TextBody, InputsBody),
        "example": _PROMPT,
        "answers": {JSON: (Generated, GenerateResponse), PLAIN: _TEXT, EVENTS: _EVENT},
        "error": {"anyOf": [PROMPT_ERROR, TGI_ERROR]},
        "errors": REPLY_ERRORS,
        "named": (StreamResponse,),
        "replies": True,
    }
    return Operation(method="post", path=path, summary=summary, **described | more)


_LISTED: Mapping[str, Described] = {
    JSON: {
        "anyOf": [
            ROOT.answers[JSON],
            {"type": "array", "items": reference(GenerateResponse), "maxItems": 1},
        ]
    },
    EVENTS: _EVENT,
}

PROMPT_OPERATIONS = (
    _generate("/generate", "A prompt continued, in the form of four systems"),
    _generate("/generate/", "As /generate"),
)
TGI_OPERATIONS = (
    replace(
        ROOT,
        summary="As /inference/{model}, with the default model; as TGI's root for its bodies",
        body={"anyOf": [ROOT.body, reference(InputsBody)]},
        answers={**ROOT.answers, **_LISTED},
        error={"anyOf": [NATIVE_ERROR, TGI_ERROR]},
    ),
    _generate(
        "/generate_stream",
        "A prompt continued, as TGI's events",
        body=InputsBody,
        example=_INPUTS,
        answers={EVENTS: _EVENT},
        error=TGI_ERROR,
    ),
    Operation(
        method="get",
        path="/info",
        tag="generate",
        summary="The model and the limits of requests, in TGI's form",
        answers={JSON: Info},
        error=TGI_ERROR,
    ),
)
