"""The response object of one request: as it begins, and as it ends."""

from dataclasses import dataclass

from msgspec import UNSET
from msgspec.structs import replace

from rowcast.errors import RowcastError
from rowcast.frontend.api.openai.request.types import TextFormat
from rowcast.frontend.api.openai.responses.body import ReasoningConfig, ResponseBody, TextConfig
from rowcast.frontend.api.openai.responses.output import Output
from rowcast.frontend.api.openai.responses.types import (
    CachedTokens,
    IncompleteDetails,
    ReasoningTokens,
    ResponseFailure,
    ResponseObject,
    ResponseUsage,
)
from rowcast.frontend.request.defaults import Defaults
from rowcast.frontend.request.origin import Origin

PREFIX = "resp_"


@dataclass(frozen=True, slots=True)
class Facts:
    """What a response reports of the model that computes it."""

    fingerprint: str
    defaults: Defaults | None  # None: not known, because the model is not loaded


def response_of(body: ResponseBody, origin: Origin, facts: Facts) -> ResponseObject:
    """Return the object as it begins."""
    defaults = facts.defaults
    return ResponseObject(
        id=f"{PREFIX}{origin.id}",
        created_at=int(origin.created),
        status="in_progress",
        background=bool(body.background),
        instructions=body.instructions,
        max_output_tokens=body.max_output_tokens,
        max_tool_calls=body.max_tool_calls,
        metadata=body.metadata or {},
        model=body.model,
        output=[],
        parallel_tool_calls=body.parallel_tool_calls is not False,
        previous_response_id=body.previous_response_id,
        prompt_cache_key=body.prompt_cache_key,
        reasoning=body.reasoning or ReasoningConfig(),
        safety_identifier=body.safety_identifier,
        store=body.stored,
        temperature=_sent(body, "temperature", defaults),
        text=_text(body),
        tool_choice=body.tool_choice or "auto",
        tools=body.tools or [],
        top_logprobs=body.top_logprobs or 0,
        top_p=_sent(body, "top_p", defaults),
        user=body.user,
        seed=origin.seed if body.seed is None else body.seed,
        system_fingerprint=facts.fingerprint or UNSET,
    )


def ended(
    begun: ResponseObject, output: Output, input_tokens: int, tokens: int, *, cut: bool
) -> ResponseObject:
    """Return the object as it ends. `cut`: at the maximum of tokens."""
    return replace(
        begun,
        status="incomplete" if cut else "completed",
        incomplete_details=IncompleteDetails() if cut else None,
        output=output.items,
        usage=ResponseUsage(
            input_tokens=input_tokens,
            output_tokens=tokens,
            total_tokens=input_tokens + tokens,
            input_tokens_details=CachedTokens(),
            output_tokens_details=ReasoningTokens(output.reasoning_tokens),
        ),
    )


def failed(begun: ResponseObject, output: Output, failure: RowcastError) -> ResponseObject:
    """Return the object if the reply has failed."""
    error = ResponseFailure(str(failure))
    return replace(begun, status="failed", error=error, output=output.items)


def _sent(body: ResponseBody, name: str, defaults: Defaults | None) -> float | None:
    sent: float | None = getattr(body, name)
    default: float | None = getattr(defaults, name, None)
    return default if sent is None else sent


def _text(body: ResponseBody) -> TextConfig:
    text = body.text or TextConfig()
    return text if text.format else replace(text, format=TextFormat())
