"""The span of a request for replies, and an observer that describes each reply in it.

Attributes have OpenTelemetry's names for GenAI.

In: the span of the request, if it is traced. Out: counts, parameters and finish reasons as its
attributes; the queue, the first token and recoveries as its events. Never text.
"""

from rowcast.frontend.reply.reply_outcome import Outcome
from rowcast.frontend.request.prompt import Prompt
from rowcast.frontend.request.request import Request
from rowcast.wire import Submit
from rowcast_telemetry.spans import Span, Tracer

CHAT = ("/chat/completions", "/messages", "/responses")  # ends of the paths that take messages
FAILED = frozenset({"error", "unavailable", "deadline"})
OPERATION, MODEL = "gen_ai.operation.name", "gen_ai.response.model"
INPUT, OUTPUT = "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"
REASONS = "gen_ai.response.finish_reasons"
PARAMETERS = (
    "max_tokens",
    "temperature",
    "top_p",
    "top_k",
    "frequency_penalty",
    "presence_penalty",
)


class ReplyTrace:
    """Adds to the span of a request what its replies show."""

    def begin(self, request: Request, prompt: Prompt, submit: Submit, /) -> None:
        """Describe the request, once its replies are accepted."""
        span = request.span
        if span is not None and OPERATION not in span.attributes:
            _describe(span, request, prompt, submit)

    def end(self, request: Request, prompt: Prompt, submit: Submit, outcome: Outcome, /) -> None:
        """Add how one of its replies ended."""
        span = request.span
        if span is None or not outcome.accepted:
            return
        if submit.choice == prompt.choices[0]:
            span.add(INPUT, len(prompt.tokens))
        span.add(OUTPUT, outcome.tokens)
        span.append(REASONS, outcome.reason)
        if outcome.reason in FAILED:
            span["error.type"] = span.error = outcome.reason
        _note(span, submit.choice, outcome)


def begin_span(tracer: Tracer, name: str, request_id: str, traceparent: str | None = None) -> Span:
    """Begin the span of a request for replies, in its caller's trace if it has one."""
    span = tracer.begin(name, traceparent)
    span["gen_ai.provider.name"] = "rowcast"
    span["rowcast.request_id"] = request_id
    return span


def end_span(span: Span, status: int) -> None:
    """End a request's span; its response was sent, or will not be."""
    span["http.response.status_code"] = status
    if status >= 500 and not span.error:
        span["error.type"] = span.error = str(status)
    span.end()


def operation_of(request: Request, prompt: Prompt) -> str:
    """Return the name of what a request has the model do."""
    if prompt.pooling is not None:
        return "embeddings"
    return "chat" if request.path.endswith(CHAT) else "text_completion"


def _describe(span: Span, request: Request, prompt: Prompt, submit: Submit) -> None:
    operation = operation_of(request, prompt)
    span.name = f"{operation} {span.attributes.get(MODEL, '')}".rstrip()
    span[OPERATION] = operation
    span["rowcast.dialect"] = prompt.dialect
    span["gen_ai.request.seed"] = submit.seed
    for name in PARAMETERS:
        span[f"gen_ai.request.{name}"] = getattr(prompt.params, name)


def _note(span: Span, choice: int, outcome: Outcome) -> None:
    """Add the events of one reply, in the order in which they happened."""
    queued, *again = outcome.times.seatings or (0.0,)
    times = [
        ("rowcast.seated", queued),
        ("rowcast.first_token", outcome.first),
        *(("rowcast.interrupted", at) for at in outcome.times.interruptions),
        *(("rowcast.recovered", at) for at in again),
    ]
    for name, at in sorted(times, key=lambda each: each[1]):
        if at:
            span.note(name, at, **{"gen_ai.choice.index": choice})
