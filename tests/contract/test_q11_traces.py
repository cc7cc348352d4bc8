"""Traces and logs as operators see them: server, proxy, and a collector, all real processes."""

import json
import secrets
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from contract.conftest import JWT_SECRET, PROXY_SECRET, encoded
from frontend.serving import lasting_seed
from processes import Running, free_port, running_proxy, running_server, until
from raw_http import Answer, Client, ask, request_bytes
from scripted_replies import scripted_reply
from telemetry.collector import Collected, Collector, collecting

SECRETS = {"JWT_SECRET": JWT_SECRET, "PROXY_SECRET": PROXY_SECRET}
PROMPT = "a prompt that is nobody's business"
SEED = lasting_seed(PROMPT, 60)

pytestmark = pytest.mark.slow


@dataclass(frozen=True)
class Traced:
    """A server and its proxy, which send traces, and the collector that receives them."""

    collector: Collector
    server: Running
    proxy: Running
    authorization: dict[str, str]

    def post(self, path: str, body: object, **headers: str) -> Answer:
        return ask(self.proxy.port, self.request(path, body, **headers))

    def request(self, path: str, body: object, **headers: str) -> bytes:
        return request_bytes(path, body, headers=self.authorization | headers)

    def spans(self, trace: str) -> tuple[Collected, Collected]:
        """Return the spans of proxy and server, once both have arrived."""
        until(lambda: len(self.collector.of(trace)) == 2, "both spans")
        found = self.collector.of(trace)
        return found["rowcast-proxy"], found["rowcast"]


@pytest.fixture(scope="module")
def traced(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Traced]:
    folder = tmp_path_factory.mktemp("traced")
    token = encoded('{"team_id": "blue", "token_id": "secret-of-blue"}')
    with collecting() as collector:
        env = SECRETS | {
            "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
            "OTEL_EXPORTER_OTLP_HEADERS": "api-key=of%20ours",
            "LOG_FORMAT": "json",
            "STEP_SECONDS": "0.02",
        }
        with (
            running_server(folder, env=env) as server,
            running_proxy(folder, server, env=env) as proxy,
        ):
            yield Traced(collector, server, proxy, {"Authorization": f"Bearer {token}"})


def parent() -> tuple[str, str, dict[str, str]]:
    """Return trace and span of a client, and its header."""
    trace, span = secrets.token_hex(16), secrets.token_hex(8)
    return trace, span, {"traceparent": f"00-{trace}-{span}-01"}


CHAT = {
    "model": "scripted",
    "messages": [{"role": "user", "content": PROMPT}],
    "max_tokens": 5,
    "temperature": 0.5,
    "seed": 7,
    "stream": True,
}


def test_q11_a_request_has_a_span_of_the_proxy_and_a_child_of_the_server(traced: Traced) -> None:
    trace, client, header = parent()
    answer = traced.post("/v1/chat/completions", CHAT, **header)
    assert answer.whole
    proxy, server = traced.spans(trace)
    assert proxy.fields["parentSpanId"] == client
    assert server.fields["parentSpanId"] == proxy.fields["spanId"]
    assert proxy.name == "POST /v1/chat/completions"
    assert proxy.attributes["http.response.status_code"] == 200
    assert server.name == "chat scripted"
    began, ended = (int(server.fields[f"{name}TimeUnixNano"]) for name in ("start", "end"))
    assert int(proxy.fields["startTimeUnixNano"]) <= began < ended


def test_q11_the_servers_span_has_the_names_of_genai(traced: Traced) -> None:
    trace, _, header = parent()
    traced.post("/v1/chat/completions", CHAT, **header)
    _, server = traced.spans(trace)
    named = {
        "gen_ai.operation.name": "chat",
        "gen_ai.provider.name": "rowcast",
        "gen_ai.request.model": "scripted",
        "gen_ai.response.model": "scripted",
        "gen_ai.request.max_tokens": 5,
        "gen_ai.request.temperature": 0.5,
        "gen_ai.request.seed": 7,
        "gen_ai.usage.output_tokens": 5,
        "gen_ai.response.finish_reasons": ["length"],
    }
    assert named.items() <= server.attributes.items()
    assert server.attributes["gen_ai.usage.input_tokens"] > len(PROMPT)
    assert server.events == ["rowcast.seated", "rowcast.first_token"]


def test_q11_choices_are_counted_together(traced: Traced) -> None:
    trace, _, header = parent()
    traced.post("/v1/chat/completions", CHAT | {"n": 3, "stream": False}, **header)
    _, server = traced.spans(trace)
    assert server.attributes["gen_ai.usage.output_tokens"] == 15
    assert server.attributes["gen_ai.usage.input_tokens"] < 2 * len(PROMPT) + 40
    assert server.attributes["gen_ai.response.finish_reasons"] == ["length"] * 3


def test_q11_a_recovery_is_an_event_and_changes_no_byte(traced: Traced) -> None:
    trace, _, header = parent()
    body = {"text": PROMPT, "max_tokens": 60, "seed": SEED, "stop_sequence": "zzz"}
    with Client(traced.proxy.port) as client:
        client.send(traced.request("/inference/scripted", body, **header)).read_body()
        traced.server.backend().kill()
        answer = client.finish()
    assert (answer.whole, answer.text) == (True, scripted_reply(PROMPT, SEED, 60).text)
    _, server = traced.spans(trace)
    assert server.events == [
        *("rowcast.seated", "rowcast.first_token"),
        *("rowcast.interrupted", "rowcast.recovered"),
    ]
    assert server.attributes["gen_ai.operation.name"] == "text_completion"


def test_q11_a_refused_request_has_a_status(traced: Traced) -> None:
    trace, _, header = parent()
    assert traced.post("/v1/chat/completions", CHAT | {"model": "none"}, **header).status == 404
    proxy, server = traced.spans(trace)
    assert proxy.attributes["http.response.status_code"] == 404
    assert server.attributes["http.response.status_code"] == 404
    assert "gen_ai.usage.output_tokens" not in server.attributes


def test_q11_a_trace_that_is_not_recorded_is_passed_on(traced: Traced) -> None:
    trace, client, _ = parent()
    traced.post("/v1/chat/completions", CHAT, traceparent=f"00-{trace}-{client}-00")
    other, _, header = parent()
    traced.post("/v1/chat/completions", CHAT, **header)
    traced.spans(other)
    assert traced.collector.of(trace) == {}


def test_q11_a_malformed_traceparent_begins_a_trace(traced: Traced) -> None:
    answer = traced.post("/v1/chat/completions", CHAT, traceparent="00-zz-1-01")
    named = answer.headers["x-request-id"]

    def found() -> list[Collected]:
        spans = traced.collector.spans
        return [each for each in spans if each.attributes["rowcast.request_id"] == named]

    until(lambda: len(found()) == 2, "both spans")
    assert len({each.trace for each in found()}) == 1
    assert sorted("parentSpanId" in each.fields for each in found()) == [False, True]


def test_q11_the_collector_gets_its_headers_and_no_text(traced: Traced) -> None:
    trace, _, header = parent()
    reply = traced.post("/v1/chat/completions", CHAT | {"stream": False}, **header).json()
    traced.spans(trace)
    assert set(traced.collector.paths) == {"/v1/traces"}
    assert {each["api-key"] for each in traced.collector.headers} == {"of ours"}
    token = traced.authorization["Authorization"].removeprefix("Bearer ")
    said = reply["choices"][0]["message"]["content"]
    sent = b"".join(traced.collector.bodies).decode()
    logged = traced.server.output() + traced.proxy.output()
    for secret in (PROMPT, said, token, PROXY_SECRET, JWT_SECRET, "of ours"):
        assert secret not in sent
        assert secret not in logged


def test_q11_every_line_of_the_logs_is_json_with_the_trace(traced: Traced) -> None:
    trace, _, header = parent()
    traced.post("/v1/chat/completions", CHAT, **header)
    for process, logger in ((traced.server, "rowcast.request"), (traced.proxy, "rowcast_proxy")):
        until(lambda process=process: trace in process.output(), "its line")  # type: ignore[misc]
        lines = [json.loads(line) for line in process.output().splitlines()]
        assert all({"time", "level", "logger", "pid"} <= set(line) for line in lines)
        assert any(line["logger"] == "gunicorn.error" for line in lines)
        (line,) = (line for line in lines if line.get("trace") == trace)
        assert line["logger"].startswith(logger)
    assert line["team"] == "blue"


@pytest.fixture(scope="module")
def unheard(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server whose collector is away."""
    folder = tmp_path_factory.mktemp("unheard")
    away = f"http://127.0.0.1:{free_port()}"
    with running_server(folder, env={"OTEL_EXPORTER_OTLP_ENDPOINT": away}) as server:
        yield server


def test_q11_without_a_collector_replies_are_unharmed(unheard: Running) -> None:
    for seed in range(20):
        body = {"text": "Hello", "seed": seed, "max_tokens": 12}
        answer = ask(unheard.port, request_bytes("/inference/scripted", body))
        assert (answer.whole, answer.text) == (True, scripted_reply("Hello", seed, 12).text)
    unheard.stop()
    assert "traces dropped=20" in unheard.output()
