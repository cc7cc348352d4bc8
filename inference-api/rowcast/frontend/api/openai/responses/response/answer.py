"""The response object of one request: as it begins, and as it ends."""

from dataclasses import dataclass
from typing import Self

from msgspec import UNSET
from msgspec.structs import replace

from rowcast.frontend.api.bodies.types import TextFormat
from rowcast.frontend.api.openai.responses.request.body import (
    ReasoningConfig,
    ResponseBody,
    TextConfig,
)
from rowcast.frontend.api.openai.responses.response.output import Output
from rowcast.frontend.api.openai.responses.response.types import (
    CachedTokens,
    IncompleteDetails,
    ReasoningTokens,
    ResponseFailure,
    ResponseObject,
    ResponseUsage,
)
from rowcast.frontend.request.defaults import Defaults
from rowcast.frontend.request.origin import Origin
from rowcast.journal.background.record import BackgroundRequest

PREFIX = "resp_"


@dataclass(frozen=True, slots=True, kw_only=True)
class Facts:
    """What a response reports besides its body: its id and time, and what computes it."""

    name: str  # its id
    created: float
    seed: int  # for a body without a seed
    fingerprint: str = ""  # of the build; "": not known yet
    defaults: Defaults | None = None  # of the model; None: not known, because it is not loaded

    @classmethod
    def of(
        cls,
        origin: Origin,
        accepted: BackgroundRequest | None,
        fingerprint: str,
        defaults: Defaults | None,
    ) -> Self:
        """Return the facts of a stream, or of the background request that it belongs to."""
        name, created = f"{PREFIX}{origin.id}", origin.created
        if accepted is not None:
            name, created = accepted.id, accepted.created
        return cls(
            name=name,
            created=created,
            seed=origin.seed,
            fingerprint=fingerprint,
            defaults=defaults,
        )


def response_of(body: ResponseBody, facts: Facts) -> ResponseObject:
    """Return the object as it begins."""
    defaults = facts.defaults
    return ResponseObject(
        id=facts.name,
        created_at=int(facts.created),
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
        temperature=_sent_or_default(body, "temperature", defaults),
        text=_text(body),
        tool_choice=body.tool_choice or "auto",
        tools=body.tools or [],
        top_logprobs=body.top_logprobs or 0,
        top_p=_sent_or_default(body, "top_p", defaults),
        user=body.user,
        seed=facts.seed if body.seed is None else body.seed,
        system_fingerprint=facts.fingerprint or UNSET,
    )


def ended(
    begun: ResponseObject,
    output: Output,
    input_tokens: int,
    tokens: int,
    *,
    cached_tokens: int = 0,
    cut: bool,
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
            input_tokens_details=CachedTokens(cached_tokens),
            output_tokens_details=ReasoningTokens(output.reasoning_tokens),
        ),
    )


def failed(begun: ResponseObject, problem: str) -> ResponseObject:
    """Return the object if the response has failed."""
    return replace(begun, status="failed", error=ResponseFailure(problem))


def _sent_or_default(body: ResponseBody, name: str, defaults: Defaults | None) -> float | None:
    sent: float | None = getattr(body, name)
    default: float | None = getattr(defaults, name, None)
    return default if sent is None else sent


def _text(body: ResponseBody) -> TextConfig:
    text = body.text or TextConfig()
    return text if text.format else replace(text, format=TextFormat())
