"""The span of a request for replies, as its observer describes it.

Covers `reply_outcome`.
"""

from collections.abc import Sequence
from pathlib import Path

import pytest

from rowcast.frontend.api import reads_again
from rowcast.frontend.reply.reply_outcome import Outcome
from rowcast.frontend.reply.trace import ReplyTrace, operation_of
from rowcast.frontend.request.prompt import Prompt
from rowcast.frontend.request.request import Body, Request
from rowcast.frontend.sessions.choice import Times
from rowcast.sampling_params import SamplingParams
from rowcast.wire import FinishReason, Pooling, Submit
from rowcast_telemetry.spans import Span, Tracer
from rowcast_telemetry.trace_context import TraceContext
from telemetry.test_spans import Taken

from ..serving import serving

PARAMS = SamplingParams(max_tokens=9, temperature=0.5)


def span() -> Span:
    return Span(TraceContext("a" * 32, "b" * 16, sampled=True), "", "POST /", lambda _: None)


def request(path: str = "/v1/chat/completions", traced: Span | None = None) -> Request:
    return Request(path=path, body=Body(lambda: b""), span=traced)


def prompt(choices: int = 1, pooling: Pooling | None = None) -> Prompt:
    return Prompt(
        tokens=(1, 2, 3),
        params=PARAMS,
        seed=7,
        dialect="openai",
        choices=range(choices),
        pooling=pooling,
    )


def submit(choice: int = 0) -> Submit:
    return Submit("s", choice, (1, 2, 3), PARAMS, 7)


def outcome(
    began: float,
    reason: FinishReason = "stop",
    seatings: Sequence[float] = (),
    interruptions: Sequence[float] = (),
) -> Outcome:
    first = began + 0.2 if seatings else 0.0
    times = Times(began, [*seatings], [*interruptions])
    return Outcome(reason, 5, 0, True, first, began + 1, times=times)


@pytest.mark.parametrize(
    ("path", "pooling", "operation"),
    [
        ("/v1/chat/completions", None, "chat"),
        ("/v1/messages", None, "chat"),
        ("/responses", None, "chat"),
        ("/v1/completions", None, "text_completion"),
        ("/inference/falcon40b", None, "text_completion"),
        ("/v1/embeddings", "mean", "embeddings"),
    ],
)
def test_an_operation_has_its_name(path: str, pooling: Pooling | None, operation: str) -> None:
    assert operation_of(request(path), prompt(pooling=pooling)) == operation


def test_the_prompt_counts_once_and_every_choice_counts() -> None:
    traced, observer = span(), ReplyTrace()
    of_three = prompt(3)
    sent = request(traced=traced)
    for choice in range(3):
        observer.begin(sent, of_three, submit(choice))
    for choice in range(3):
        observer.end(sent, of_three, submit(choice), outcome(traced._clock))
    assert traced.attributes["gen_ai.usage.input_tokens"] == 3
    assert traced.attributes["gen_ai.usage.output_tokens"] == 15
    assert traced.attributes["gen_ai.response.finish_reasons"] == ["stop"] * 3
    assert traced.attributes["gen_ai.request.seed"] == 7
    assert traced.name == "chat"


def test_events_are_in_the_order_of_time() -> None:
    traced = span()
    began = traced._clock
    recovered = outcome(began, seatings=(began + 0.1, began + 0.6), interruptions=(began + 0.4,))
    ReplyTrace().end(request(traced=traced), prompt(), submit(), recovered)
    assert [each.name.removeprefix("rowcast.") for each in traced.events] == [
        *("seated", "first_token", "interrupted", "recovered")
    ]
    times = [each.at - traced.began for each in traced.events]
    assert times == sorted(times)


@pytest.mark.parametrize("reason", ["error", "unavailable", "deadline"])
def test_a_failed_reply_fails_the_span(reason: FinishReason) -> None:
    traced = span()
    ReplyTrace().end(request(traced=traced), prompt(), submit(), outcome(traced._clock, reason))
    assert (traced.error, traced.attributes["error.type"]) == (reason, reason)


def test_a_cancelled_reply_does_not() -> None:
    traced = span()
    ended = outcome(traced._clock, "cancelled")
    ReplyTrace().end(request(traced=traced), prompt(), submit(), ended)
    assert traced.error == ""


def test_a_stream_that_is_read_again_has_a_span_without_its_id(tmp_path: Path) -> None:
    taken = Taken()
    with serving(journal=tmp_path / "journal.db", tracer=Tracer(taken)) as served:
        first = served.post("/chat/scripted", text="Hello", max_tokens=5)
        stream = first.headers["X-Stream-ID"]
        again = served.client.get(f"/v1/streams/{stream}", buffered=True)
        assert again.data == first.data
        missing = served.client.get("/v1/streams/unknown", buffered=True)
        assert missing.status_code == 404
        served.client.delete(f"/v1/streams/{stream}")
    computed, read, refused = taken.spans
    assert (computed.name, read.name) == ("text_completion scripted",) * 2
    assert read.attributes["rowcast.read_again"] is True
    assert "rowcast.read_again" not in computed.attributes
    for name in ("gen_ai.usage.output_tokens", "gen_ai.response.finish_reasons"):
        assert read.attributes[name] == computed.attributes[name]
    assert refused.name == "GET /v1/streams/<stream>"
    assert refused.attributes["http.response.status_code"] == 404
    assert stream not in f"{taken.spans}"


@pytest.mark.parametrize(
    ("target", "again"),
    [
        ("/v1/streams/a?from=7", True),
        ("/v1/responses/a?stream=true", True),
        ("/responses/a?starting_after=4&stream=true", True),
        ("/v1/responses/a?", False),
        ("/v1/responses/a/input_items?stream=true", False),
        ("/v1/models?", False),
    ],
)
def test_only_reading_a_stream_is_traced(target: str, again: bool) -> None:
    assert reads_again("GET", target) == again
    assert not reads_again("DELETE", target)


def test_without_a_tracer_no_request_has_a_span() -> None:
    with serving() as served:
        assert served.frontend.tracer is None
        assert served.post(text="Hello", max_tokens=3).status_code == 200
