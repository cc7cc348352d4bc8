"""The table of metrics: names that Prometheus and OpenMetrics accept, vLLM's bounds, no ids."""

import re

import pytest

from rowcast.frontend.metrics.families import COUNTED, FAMILIES, READ
from rowcast_metrics.family import Family

# As vLLM 0.32 has them.
FIRST = (
    "0.001 0.005 0.01 0.02 0.04 0.06 0.08 0.1 0.25 0.5 0.75 1 2.5 5 7.5 10 20 40 80 160 640 2560"
)
TOKEN = "0.01 0.025 0.05 0.075 0.1 0.15 0.2 0.3 0.4 0.5 0.75 1 2.5 5 7.5 10 20 40 80"
REPLY = "0.3 0.5 0.8 1 1.5 2 2.5 5 10 15 20 30 40 50 60 120 240 480 960 1920 7680"
VLLM = {
    "vllm:time_to_first_token_seconds": FIRST,
    "vllm:inter_token_latency_seconds": TOKEN,
    "vllm:request_time_per_output_token_seconds": TOKEN,
    "vllm:e2e_request_latency_seconds": REPLY,
    "vllm:request_queue_time_seconds": REPLY,
    "vllm:request_prefill_time_seconds": REPLY,
    "vllm:request_decode_time_seconds": REPLY,
    "vllm:request_inference_time_seconds": REPLY,
}
GATEWAY = {"vllm:num_requests_running", "vllm:num_requests_waiting", "vllm:kv_cache_usage_perc"}
COUNTERS = {
    *("vllm:prompt_tokens", "vllm:generation_tokens", "vllm:request_success"),
    *("vllm:prefix_cache_queries", "vllm:prefix_cache_hits"),
}


def test_each_name_is_there_once() -> None:
    names = [name for family in FAMILIES for name in family.names]
    assert len(set(names)) == len(names)
    assert set(FAMILIES) == {*COUNTED, *READ}


@pytest.mark.parametrize("family", FAMILIES, ids=lambda family: family.name)
def test_a_family_is_well_formed(family: Family) -> None:
    for name in family.names:
        assert re.fullmatch(r"(rowcast_|vllm:)[a-z][a-z0-9_]*", name)
        assert not name.endswith(("_total", "_bucket", "_sum", "_count", "_info_info"))
    assert re.fullmatch(r"[^\\\n\"]+\.", family.text)
    assert family.bounds == tuple(sorted(set(family.bounds)))
    assert bool(family.bounds) is (family.kind == "histogram")
    allowed = {"model_name", "reason", "finished_reason", "team", "route", "status", "cause"}
    assert set(family.labels) <= {*allowed, "state", "fingerprint"}


def test_vllms_metrics_are_there_with_its_kinds_and_bounds() -> None:
    of = {name: family for family in FAMILIES for name in family.names}
    for name, bounds in VLLM.items():
        assert of[name].bounds == tuple(map(float, bounds.split()))
    assert {of[name].kind for name in GATEWAY} == {"gauge"}
    assert {of[name].kind for name in COUNTERS} == {"counter"}
    assert all("model_name" in of[name].labels for name in (*VLLM, *GATEWAY, *COUNTERS))
