"""What the proxy counts, and shows at `GET /metrics/proxy` to callers whose token allows it.

In: each request at its end, each refusal, each answer of the server. Out: text for Prometheus, of
all worker processes. No label has a team, a token or a path that a caller chose.
"""

import sys
from typing import Final

from rowcast_metrics.exposition import Exposition, table
from rowcast_metrics.family import Family
from rowcast_metrics.memory import PRIVATE, Memory
from rowcast_metrics.recorder import Recorder
from rowcast_metrics.totals import Totals
from rowcast_proxy.errors import Refusal, Unauthorized
from rowcast_proxy.forwarding.inbound import InboundRequest

REQUESTS: Final = Family(
    "rowcast_proxy_requests",
    "counter",
    "Requests that have ended, by route and class of status.",
    ("route", "status"),
)
ENDS: Final = Family(
    "rowcast_proxy_ends", "counter", "The same requests, by how they ended.", ("reason",)
)
REFUSALS: Final = Family(
    "rowcast_proxy_refusals", "counter", "Requests that the proxy refused, by cause.", ("cause",)
)
TOKEN_REFUSALS: Final = Family(
    "rowcast_proxy_token_refusals", "counter", "Tokens that were refused, by cause.", ("cause",)
)
UPSTREAM: Final = Family(
    "rowcast_proxy_upstream_seconds",
    "histogram",
    "Seconds from sending a request to the server until its response begins.",
    bounds=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 60, 300),
)
SENT: Final = Family("rowcast_proxy_sent_bytes", "counter", "Bytes of bodies sent to clients.")
OPEN: Final = Family("rowcast_proxy_requests_open", "gauge", "Requests in flight.")
CONNECTIONS: Final = Family("rowcast_proxy_connections", "gauge", "Open connections of clients.")
STARTS: Final = Family("rowcast_proxy_worker_starts", "counter", "Processes that were started.")

FAMILIES: Final = (
    *(REQUESTS, ENDS, REFUSALS, TOKEN_REFUSALS, UPSTREAM, SENT, OPEN, CONNECTIONS, STARTS),
)
# Causes that alerts watch: a rate needs their zero.
_CAUSES: Final = ("unavailable", "upstream_broken", "upstream_timeout", "protocol_error")
_TOKEN_CAUSES: Final = ("missing", "malformed", "expired_signature", "invalid_signature")


class ProxyMetrics:
    """The counters of one process, in memory that outlives it."""

    def __init__(self, memory: Memory, segment: int = PRIVATE) -> None:
        self._memory = memory
        self._recorder = recorder = Recorder(memory.segment(segment))
        recorder.counter(STARTS).add()
        self._upstream = recorder.histogram(UPSTREAM)
        self._sent = recorder.counter(SENT)
        self._open = recorder.gauge(OPEN)
        self.connections = recorder.gauge(CONNECTIONS)
        for cause in _CAUSES:
            recorder.counter(REFUSALS, cause)
        for cause in _TOKEN_CAUSES:
            recorder.counter(TOKEN_REFUSALS, cause)

    def began(self) -> None:
        self._open.add()

    def ended(self, request: InboundRequest) -> None:
        """Count a request at its end, which each has once."""
        route = request.route.path if request.route else "other"
        self._open.add(-1)
        self._sent.add(request.bytes_sent)
        self._recorder.counter(REQUESTS, route, f"{request.status // 100}xx").add()
        self._recorder.counter(ENDS, request.reason).add()

    def refused(self, refusal: Refusal) -> None:
        """Count a request that the proxy itself refuses."""
        self._recorder.counter(REFUSALS, refusal.reason).add()
        if isinstance(refusal, Unauthorized):
            self._recorder.counter(TOKEN_REFUSALS, refusal.cause).add()

    def refused_unread(self) -> None:
        """Count a request that is not valid HTTP."""
        self._recorder.counter(REFUSALS, "protocol_error").add()

    def answered(self, seconds: float) -> None:
        """Count how long the server took until its response began."""
        self._upstream.observe(seconds)

    def text(self, accept: str) -> tuple[str, bytes]:
        """Return content type and text of what all processes have counted."""
        form, totals = Exposition(accept), Totals(self._memory.segments)
        return form.content_type, b"".join(form.parts(map(totals.of, FAMILIES)))


if __name__ == "__main__":
    sys.stdout.write(table(FAMILIES))
