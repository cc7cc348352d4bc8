"""Spans on their way to a collector that listens, is away, refuses, hangs or drips."""

import contextlib
import json
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from processes import free_port, until
from rowcast_telemetry import exporter
from rowcast_telemetry.exporter import Collector, NotTaken, SpanExporter
from rowcast_telemetry.spans import Span
from rowcast_telemetry.trace_context import TraceContext

from .collector import collecting


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(exporter, "PERIOD_SECONDS", 0.05)
    monkeypatch.setattr(exporter, "PAUSES", (0.05, 0.1))
    monkeypatch.setattr(exporter, "SEND_SECONDS", 0.5)


def span(number: int = 1) -> Span:
    context = TraceContext(f"{number:032x}", f"{number:016x}", sampled=True)
    return Span(context, "", "work", lambda _: None, ended=1)


def to(url: str) -> SpanExporter:
    return SpanExporter(Collector(f"{url}/v1/traces", {"key": "ours"}), {"service.name": "a"})


@contextmanager
def running(made: SpanExporter) -> Iterator[SpanExporter]:
    made.start()
    try:
        yield made
    finally:
        made.close()


def test_spans_arrive_in_their_order() -> None:
    with collecting() as collector, running(to(collector.url)) as made:
        for number in range(1, 601):
            made.put(span(number))
        until(lambda: len(collector.spans) == 600, "all spans")
    assert [int(each.trace, 16) for each in collector.spans] == list(range(1, 601))
    assert max(len(json.loads(body)["resourceSpans"]) for body in collector.bodies) == 1
    assert {each["key"] for each in collector.headers} == {"ours"}


def test_what_is_left_is_sent_at_the_end() -> None:
    with collecting() as collector:
        made = to(collector.url)
        made.start()
        made.put(span())
        made.close()
        assert len(collector.spans) == 1


@pytest.mark.parametrize("status", [429, 503])
def test_a_collector_that_is_busy_gets_them_later(status: int) -> None:
    with collecting() as collector, running(to(collector.url)) as made:
        collector.status = status
        made.put(span())
        until(lambda: len(collector.headers) >= 2, "it is tried again")
        collector.status = 200
        until(lambda: len(collector.spans) == 1, "it arrives")


def test_what_a_collector_refuses_is_dropped(caplog: pytest.LogCaptureFixture) -> None:
    with collecting() as collector, running(to(collector.url)) as made:
        collector.status = 400
        made.put(span())
        until(lambda: "traces dropped=1" in caplog.text, "it is reported")
    assert "status 400" in caplog.text
    assert len(collector.headers) == 1


def test_a_collector_that_is_away_costs_only_spans(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(exporter, "QUEUE", 10)
    with caplog.at_level(logging.WARNING), running(to(f"http://127.0.0.1:{free_port()}")) as made:
        for number in range(1000):
            made.put(span(number))
        assert len(made._spans) <= 10 + exporter.BATCH
        until(lambda: "traces dropped=" in caplog.text, "it is reported")
    lines = [each for each in caplog.messages if "dropped=" in each]
    assert sum(int(line.split("dropped=")[1].split()[0]) for line in lines) == 1000


def test_the_log_is_written_once_a_minute(caplog: pytest.LogCaptureFixture) -> None:
    with collecting() as collector, running(to(collector.url)) as made:
        collector.status = 400
        for number in range(5):
            made.put(span(number))
            until(lambda number=number: len(collector.headers) > number, "it is sent")  # type: ignore[misc]
    assert len([each for each in caplog.messages if "dropped=" in each]) == 2  # and at the end


@pytest.mark.parametrize("dripped", [b"", b"HTTP/1.1 "])
def test_a_collector_that_hangs_or_drips_is_cut_off(dripped: bytes) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def drip() -> None:
            client, _ = listener.accept()
            with client, contextlib.suppress(OSError):
                client.recv(1 << 16)
                client.sendall(dripped)
                while not done.wait(0.1):
                    client.sendall(b"." if dripped else b"")

        done = threading.Event()
        thread = threading.Thread(target=drip)
        thread.start()
        collector = Collector(f"http://127.0.0.1:{listener.getsockname()[1]}/v1/traces", {})
        with pytest.raises(NotTaken) as caught:
            collector.send(b"{}")
        done.set()
        thread.join(20)
    assert caught.value.again
