"""`GET /metrics` over HTTP: who may read it, in which form, and what it shows.

Covers `documents/metrics`, `metrics/reading`.
"""

from collections.abc import Iterator
from pathlib import Path

import pytest
from werkzeug.test import TestResponse

from backend.driven import RecordedEngine
from exposed import OPEN_METRICS, read_open, samples
from processes import until
from rowcast.frontend.metrics.families import FAMILIES

from ..metrics.counted import counted
from ..serving import SECRET, Served, error_of, serving

SCRAPER = {"X-Rowcast-Scraper": "true"}
OTHER_MACHINE = {"REMOTE_ADDR": "192.0.2.7"}


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A server with a journal, whose teams are counted by name."""
    journal = tmp_path_factory.mktemp("metrics") / "journal.db"
    with serving(journal=journal, settings={"journal": str(journal)}) as served:
        yield served


def get(served: Served, headers: dict[str, str], **environ: str) -> TestResponse:
    client = served.app.test_client()
    return client.get("/metrics", headers=headers, environ_overrides=environ, buffered=True)


@pytest.mark.parametrize("claim", ["X-Rowcast-Scraper", "X-Rowcast-Admin"])
def test_the_proxy_names_those_who_may_read_them(served: Served, claim: str) -> None:
    ours = {"X-Rowcast-Proxy-Secret": SECRET, "X-Rowcast-Proxy": "1"}
    assert get(served, {**ours, claim: "true"}, **OTHER_MACHINE).status_code == 200
    assert "`metrics`" in error_of(get(served, ours, **OTHER_MACHINE), 403)
    assert error_of(get(served, {**ours, claim: "yes"}, **OTHER_MACHINE), 403)
    forged = {"X-Rowcast-Proxy-Secret": "guessed", claim: "true"}
    assert error_of(get(served, forged, **OTHER_MACHINE), 403)


def test_programs_of_this_machine_need_no_token(served: Served) -> None:
    assert get(served, {"Host": "localhost"}, REMOTE_ADDR="127.0.0.1").status_code == 200
    assert get(served, {"Host": "localhost"}, REMOTE_ADDR="::1").status_code == 200
    assert error_of(get(served, {"Host": "localhost"}, **OTHER_MACHINE), 403)


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "rebound.example"},
        {"Host": "localhost", "Origin": "https://page.example"},
        {"Host": "localhost", "X-Forwarded-For": "127.0.0.1"},
        {"Host": "localhost", "X-Rowcast-Proxy": "1"},
    ],
)
def test_pages_and_proxies_are_no_programs_of_this_machine(
    served: Served, headers: dict[str, str]
) -> None:
    assert error_of(get(served, headers, REMOTE_ADDR="127.0.0.1"), 403)


def test_open_metrics_on_request(served: Served) -> None:
    served.post(text="Hello", max_tokens=3)
    response = served.client.get("/metrics", headers={**SCRAPER, **OPEN_METRICS})
    assert response.content_type.startswith("application/openmetrics-text; version=1.0.0")
    assert set(read_open(response.text)) == {
        name for family in FAMILIES for name in family.names
    } - {*("rowcast_journal_bytes", "rowcast_background_requests")}


@pytest.mark.parametrize("names", ["rowcast", "vllm"])
def test_one_set_of_names(names: str) -> None:
    with serving(settings={"metrics_names": names}) as served:
        found = counted(served)
    assert {key[0].startswith("vllm:") for key in found} == {names == "vllm"}


def test_the_cache_is_used_as_far_as_seated_replies_commit_to_it() -> None:
    engine = RecordedEngine(rows=4, context_length=1000, step_seconds=0.01)
    usage = ("rowcast_kv_cache_usage", "scripted")
    with serving(engine=engine) as served:
        assert counted(served)[usage] == 0
        body = {"model": "scripted", "prompt": "Hello", "max_tokens": 900, "stream": True}
        stream = served.stream("/v1/completions", **body, ignore_eos=True)
        assert stream.status_code == 200
        until(lambda: counted(served)[usage] > 0, "it is reported")
        assert counted(served)[usage] == pytest.approx((len("Hello") + 900) / 4000)
        assert counted(served)["vllm:kv_cache_usage_perc", "scripted"] == counted(served)[usage]
        stream.close()


def test_replies_refusals_and_routes_are_counted(stored: Served) -> None:
    before = counted(stored)
    stored.post(text="Hello", max_tokens=7)
    stored.post(text="Hello", max_tokens="many")
    stored.client.get("/nowhere")
    after = counted(stored)

    def more(*key: str) -> float:
        return after[key] - before.get(key, 0.0)

    assert more("rowcast_reply_tokens_total", "scripted") == 7
    assert more("vllm:generation_tokens_total", "scripted") == 7
    assert more("rowcast_replies_total", "scripted", "length") == 1
    assert more("vllm:request_success_total", "length", "scripted") == 1
    assert more("vllm:time_to_first_token_seconds_count", "scripted") == 1
    assert more("vllm:inter_token_latency_seconds_count", "scripted") <= 6
    assert more("rowcast_refusals_total", "invalid_field") == 1
    assert more("rowcast_refusals_total", "not_found") == 1
    assert more("rowcast_requests_total", "POST /", "2xx") == 1
    assert more("rowcast_requests_total", "POST /", "4xx") == 1
    assert more("rowcast_requests_total", "other", "4xx") == 1
    assert after["rowcast_model_ready", "scripted"] == 1
    assert after["rowcast_rows", "scripted"] == 32
    assert after["rowcast_model_state", "scripted", "ready"] == 1
    assert after["rowcast_model_state", "scripted", "failed"] == 0
    assert after["rowcast_workers",] == 1
    assert after["rowcast_journal_works",] == 1
    assert after["rowcast_journal_bytes",] > 0
    assert after["rowcast_background_requests", "queued"] == 0


def test_streams_that_are_read_again_are_not_computed_again(stored: Served) -> None:
    first = stored.post(text="Again", max_tokens=5, stream=True)
    before = counted(stored)
    again = stored.client.get(f"/v1/streams/{first.headers['X-Stream-ID']}", buffered=True)
    assert again.text == first.text
    after = counted(stored)
    for name, more in (("resumed", 1), ("replayed", 1)):
        key = (f"rowcast_replies_{name}_total", "scripted")
        assert after[key] - before[key] == more
    assert (
        after["rowcast_reply_tokens_total", "scripted"]
        == before["rowcast_reply_tokens_total", "scripted"]
    )


def test_no_prompt_reply_id_or_token_is_in_it(stored: Served) -> None:
    answer = stored.client.post(
        "/",
        json={"text": "a very private prompt", "max_tokens": 12},
        headers={"X-Request-ID": "the-request", "X-Rowcast-Token-Id": "the-token"},
        buffered=True,
    )
    text = stored.client.get("/metrics", headers=SCRAPER).text
    secrets = ("private", "the-request", "the-token", SECRET, answer.headers["X-Stream-ID"])
    assert [each for each in secrets if each in text] == []
    assert samples(text)


def test_a_failing_journal_is_shown_and_delays_nothing(tmp_path: Path) -> None:
    nowhere = tmp_path / "no" / "such" / "folder" / "journal.db"
    (tmp_path / "no").write_text("a file, not a folder")
    with serving(journal=nowhere, settings={"journal": str(nowhere)}) as served:
        served.post(text="Hello", max_tokens=2)
        found = counted(served)
    assert found["rowcast_journal_works",] == 0
    assert ("rowcast_background_requests", "queued") not in found
