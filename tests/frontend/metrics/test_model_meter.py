"""The meter of one model: tokens in batches, each reply once, recoveries.

Covers `metrics/metrics`, `sessions/meter`.
"""

from dataclasses import replace
from typing import get_args

import pytest

from rowcast.frontend.metrics import families
from rowcast.frontend.metrics.metrics import HANDOVER, Metrics
from rowcast.frontend.metrics.model_meter import VLLM_REASONS
from rowcast.frontend.reply.reply_outcome import Outcome
from rowcast.frontend.request.identity import Caller
from rowcast.frontend.request.prompt import Prompt
from rowcast.frontend.request.request import Body, Request
from rowcast.frontend.sessions.choice import Choice, Times
from rowcast.sampling_params import SamplingParams
from rowcast.settings import read_settings
from rowcast.wire import Finished, FinishReason, Seated, Submit, Tokens
from rowcast_metrics.family import Family
from rowcast_metrics.memory import Memory

from ..sessions.played import PROMPT, events_of, road

REQUEST = Request(path="/", body=Body(lambda: b""), caller=Caller("blue"))
SUBMIT = Submit("s", 0, (1, 2, 3), SamplingParams(max_tokens=9), 1)
THE_PROMPT = Prompt(tokens=(1, 2, 3), params=SUBMIT.params, seed=1, dialect="native")
WHOLE = Outcome(
    reason="length",
    tokens=5,
    cached_tokens=0,
    accepted=True,
    first=100.5,
    ended=104.0,
    computed=5,
    times=Times(100.0, [100.2], first=100.4, last=102.4),
)


@pytest.fixture
def metrics() -> Metrics:
    return Metrics.private(teams=1)


def of(metrics: Metrics, family: Family, *labels: str) -> tuple[float, ...]:
    return metrics.totals().of(family).numbers[labels or ("m",)]


def mean(metrics: Metrics, family: Family) -> float:
    *counts, total = of(metrics, family)
    return total / sum(counts)


def test_all_of_a_model_is_zero_before_its_first_reply(metrics: Metrics) -> None:
    metrics.model("m")
    for family in (families.REPLY_TOKENS, families.FIRST_TOKEN, families.RECOVERED):
        assert not any(of(metrics, family))
    for reason in get_args(FinishReason):
        assert of(metrics, families.REPLIES, "m", reason) == (0,)


def test_builds_of_one_name_share_a_meter(metrics: Metrics) -> None:
    assert metrics.model("m") is metrics.model("m")


def test_tokens_of_a_batch_share_the_gap_since_the_batch_before(metrics: Metrics) -> None:
    meter, choices = metrics.model("m"), [Choice(SUBMIT) for _ in range(3)]
    meter.received(choices, 3, 10.0)
    meter.received(choices, 4, 10.5)
    meter.received(choices[:1], 1, 10.75)
    meter.received(choices, 3, 11.75)  # two of them have waited 1.25 s, one 1 s
    assert of(metrics, families.REPLY_TOKENS) == (11,)
    *counts, total = of(metrics, families.TOKEN_GAP)
    assert sum(counts) == 7
    assert total == pytest.approx(3 * 0.5 + 0.25 + 1.0 + 2 * 1.25)
    assert choices[0].times.first == 10.0
    assert choices[0].times.last == 11.75


def test_a_whole_reply(metrics: Metrics) -> None:
    metrics.model("m").end(REQUEST, THE_PROMPT, SUBMIT, WHOLE)
    assert of(metrics, families.REPLIES, "m", "length") == (1,)
    assert of(metrics, families.SUCCESSES, "m", "length") == (1,)
    assert mean(metrics, families.QUEUE_SECONDS) == pytest.approx(0.2)
    assert mean(metrics, families.FIRST_TOKEN) == pytest.approx(0.4)
    assert mean(metrics, families.PREFILL_SECONDS) == pytest.approx(0.2)
    assert mean(metrics, families.DECODE_SECONDS) == pytest.approx(2.0)
    assert mean(metrics, families.ROW_SECONDS) == pytest.approx(2.2)
    assert mean(metrics, families.TOKEN_TIME) == pytest.approx(0.5)
    assert mean(metrics, families.REPLY_SECONDS) == pytest.approx(4.0)
    assert mean(metrics, families.PROMPT_SIZE) == 3
    assert mean(metrics, families.REPLY_SIZE) == 5
    assert mean(metrics, families.LIMIT) == 9
    assert of(metrics, families.TEAM_REPLIES, "blue") == (1,)
    assert of(metrics, families.TEAM_PROMPT_TOKENS, "blue") == (3,)
    assert of(metrics, families.TEAM_REPLY_TOKENS, "blue") == (5,)
    assert of(metrics, families.REPLAYED) == (0,)


@pytest.mark.parametrize("reason", get_args(FinishReason))
def test_every_end_is_counted_under_both_names(metrics: Metrics, reason: FinishReason) -> None:
    metrics.model("m").end(REQUEST, THE_PROMPT, SUBMIT, replace(WHOLE, reason=reason))
    assert of(metrics, families.REPLIES, "m", reason) == (1,)
    assert of(metrics, families.SUCCESSES, "m", VLLM_REASONS[reason]) == (1,)


def test_a_refused_reply_is_none(metrics: Metrics) -> None:
    metrics.model("m").end(REQUEST, THE_PROMPT, SUBMIT, replace(WHOLE, accepted=False))
    assert of(metrics, families.REPLIES, "m", "length") == (0,)
    assert families.TEAM_REPLIES.name not in str(metrics.totals().of(families.TEAM_REPLIES).numbers)


def test_a_recorded_reply_takes_no_time_and_no_tokens(metrics: Metrics) -> None:
    recorded = replace(WHOLE, computed=0, times=Times())
    metrics.model("m").end(REQUEST, THE_PROMPT, SUBMIT, recorded)
    assert of(metrics, families.REPLAYED) == (1,)
    assert of(metrics, families.REPLIES, "m", "length") == (1,)
    assert not any(of(metrics, families.REPLY_SECONDS))
    assert of(metrics, families.TEAM_REPLY_TOKENS, "blue") == (0,)


def test_a_vector_has_a_wait_and_no_first_token(metrics: Metrics) -> None:
    vector = replace(WHOLE, tokens=0, computed=0, times=Times(100.0, [100.25]))
    metrics.model("m").end(REQUEST, THE_PROMPT, SUBMIT, vector)
    assert mean(metrics, families.QUEUE_SECONDS) == pytest.approx(0.25)
    assert not any(of(metrics, families.FIRST_TOKEN))
    assert of(metrics, families.REPLAYED) == (0,)


def test_a_recovery_counts_each_prompt_and_each_token_once(metrics: Metrics) -> None:
    with road(meter=metrics.model("m")) as made:
        first = made.ready()
        choice = made.open(PROMPT)
        name = choice.submit.session
        first.say(Seated(name, 0), Tokens(name, 0, 0, (5, 6)))
        events_of(choice, 1)
        second = made.begin()
        second.say(Seated(name, 0), Tokens(name, 0, 0, (5, 6, 7)), Finished(name, 0, 3, "stop"))
        events_of(choice, 2)
        assert of(metrics, families.PROMPT_TOKENS) == (len(PROMPT.prompt),)
        assert of(metrics, families.REPLY_TOKENS) == (3,)
        assert of(metrics, families.RECOVERED) == (1,)
        assert sum(of(metrics, families.RECOVERY_SECONDS)[:-1]) == 1
        assert len(choice.times.seatings) == 2


def test_a_corrected_number_of_cached_tokens_counts_no_prompt_again(metrics: Metrics) -> None:
    with road(meter=metrics.model("m")) as made:
        backend = made.ready()
        choice = made.open(PROMPT)
        name = choice.submit.session
        backend.say(Seated(name, 0, 2), Seated(name, 0, 1), Finished(name, 0, 0, "stop"))
        events_of(choice, 1)
        assert choice.cached == 1
        assert of(metrics, families.PROMPT_TOKENS) == (len(PROMPT.prompt),)


def test_a_worker_counts_in_the_memory_that_it_was_given(monkeypatch: pytest.MonkeyPatch) -> None:
    memory = Memory.create(2)
    settings = read_settings(model="scripted")
    for segment in (0, 1, 1):
        monkeypatch.setenv(HANDOVER, memory.handover(segment))
        last = Metrics.of(settings)
    assert last.totals().of(families.STARTS).numbers[()] == (3,)
    monkeypatch.delenv(HANDOVER)
    assert Metrics.of(settings).totals().of(families.STARTS).numbers[()] == (1,)
