"""Sends spans to a collector over HTTP, in the background: no request waits for the collector.

    put(span) ──▶ a bounded queue ──▶ a thread: every two seconds, one request per 256 spans

A collector that is away or slow, or refuses, costs nothing but its spans: those for which the queue
has no room are dropped, counted, and reported in the log once a minute. Under gevent the thread is
a greenlet: it is created when it starts, never when this module is imported.
"""

import contextlib
import http.client
import logging
import socket
import ssl
import threading
import time
from collections import deque
from collections.abc import Mapping
from urllib.parse import urlsplit

from rowcast_telemetry import otlp
from rowcast_telemetry.spans import Span, Value

QUEUE = 4096  # spans
BATCH = 256
TURN = 8  # spans encoded before other threads get a turn
REST_SECONDS = 1e-9  # under gevent `sleep(0)` ends before the event loop looks at its sockets
PERIOD_SECONDS = 2.0
SEND_SECONDS = 5.0  # for one request, from its connection to its answer
CLOSE_SECONDS = 2.0
PAUSES = (1.0, 30.0)  # seconds until the next try after a failure: at first, at most
REPORT_SECONDS = 60.0
AGAIN = frozenset({429, 502, 503, 504})  # statuses after which a request is sent again
LONGEST_ANSWER = 1 << 16

_log = logging.getLogger("rowcast.traces")


class NotTaken(Exception):
    """The collector has not taken the spans; `again`: it may take them later."""

    def __init__(self, why: str, *, again: bool) -> None:
        super().__init__(why)
        self.again = again


class Collector:
    """Where spans go."""

    def __init__(self, url: str, headers: Mapping[str, str]) -> None:
        """`url`: with its path."""
        self._url = urlsplit(url)
        self._headers = {"Content-Type": "application/json", **headers}
        self._tls = ssl.create_default_context() if self._url.scheme == "https" else None

    @property
    def place(self) -> str:
        """Its host and port."""
        return self._url.netloc.rpartition("@")[2]

    def send(self, content: bytes) -> None:
        """Send one request. Raises NotTaken."""
        try:
            status = self._status(content)
        except (OSError, ValueError, http.client.HTTPException) as error:
            raise NotTaken(f"{type(error).__name__}: {error}", again=True) from error
        if status >= 300:
            raise NotTaken(f"status {status}", again=status in AGAIN)

    def _status(self, content: bytes) -> int:
        """Return the status of its answer, after SEND_SECONDS at most."""
        connection = self._connection()
        limit = threading.Timer(SEND_SECONDS, _cut, (connection,))
        limit.daemon = True
        limit.start()
        try:
            connection.request("POST", self._url.path, content, self._headers)
            answer = connection.getresponse()
            answer.read(LONGEST_ANSWER)
            return answer.status
        finally:
            limit.cancel()
            connection.close()

    def _connection(self) -> http.client.HTTPConnection:
        host, port = self._url.hostname or "", self._url.port
        if self._tls is None:
            return http.client.HTTPConnection(host, port, timeout=SEND_SECONDS)
        return http.client.HTTPSConnection(host, port, timeout=SEND_SECONDS, context=self._tls)


class SpanExporter:
    """The queue of one process, and the thread that empties it."""

    def __init__(self, collector: Collector, resource: Mapping[str, Value]) -> None:
        self._collector = collector
        self._resource = resource
        self._spans: deque[Span] = deque()
        self._dropped = 0
        self._why = "the queue is full"
        self._reported = float("-inf")  # when the log was last written
        self._wakeup = threading.Event()
        self._closing = threading.Event()
        self._thread = threading.Thread(target=self._run, name="span exporter", daemon=True)

    def start(self) -> None:
        self._thread.start()

    def put(self, span: Span) -> None:
        """Take a span, or drop it if there is no room."""
        if len(self._spans) >= QUEUE:
            self._dropped += 1
            return
        self._spans.append(span)
        if len(self._spans) == BATCH:
            self._wakeup.set()

    def close(self) -> None:
        """Send the spans that are left, within a short time."""
        self._closing.set()
        self._wakeup.set()
        if self._thread.ident is not None:
            self._thread.join(CLOSE_SECONDS)

    def _run(self) -> None:
        pause = 0.0  # after a failure
        while not self._closing.is_set():
            if pause:
                self._closing.wait(pause)
            else:
                self._wakeup.wait(PERIOD_SECONDS)
            self._wakeup.clear()
            first, most = PAUSES
            pause = 0.0 if self._empty() else min(most, pause * 2 or first)
            self._report()
        self._empty()
        self._report(at_once=True)

    def _empty(self) -> bool:
        """Send all spans; return False if the next try should come after a pause."""
        while self._spans:
            batch = [self._spans.popleft() for _ in range(min(BATCH, len(self._spans)))]
            try:
                self._collector.send(self._encoded(batch))
            except NotTaken as problem:
                self._why = str(problem)
                if problem.again and not self._closing.is_set():
                    self._put_back(batch)
                    return False
                self._dropped += len(batch)
        return True

    def _encoded(self, batch: list[Span]) -> bytes:
        encoded = []
        for at, span in enumerate(batch):
            encoded.append(otlp.encoded(span))
            if at % TURN == TURN - 1:
                time.sleep(REST_SECONDS)
        return otlp.body(encoded, self._resource)

    def _put_back(self, batch: list[Span]) -> None:
        room = max(0, QUEUE - len(self._spans))
        self._dropped += max(0, len(batch) - room)
        self._spans.extendleft(reversed(batch[:room]))

    def _report(self, *, at_once: bool = False) -> None:
        """Log how many spans were dropped."""
        now = time.monotonic()
        if self._dropped and (at_once or now - self._reported >= REPORT_SECONDS):
            place = self._collector.place
            _log.warning("traces dropped=%d collector=%s: %s", self._dropped, place, self._why)
            self._dropped, self._reported = 0, now


def _cut(connection: http.client.HTTPConnection) -> None:
    """End a request that takes too long, whatever it waits for."""
    if (sock := connection.sock) is not None:
        with contextlib.suppress(OSError):
            sock.shutdown(socket.SHUT_RDWR)
