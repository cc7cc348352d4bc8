"""Clients that keep their connections: one request after another, as HTTP/1.1 allows.

A connection is reused until the server sends `Connection: close`. A request whose connection ends
without an answer is a fault; nothing is ever retried.
"""

from __future__ import annotations

import contextlib
import http.client
import random
import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from commands.chaos.traffic.flow import Truth, fault_in
from commands.chaos.traffic.request import Request
from local.ports import LOCAL

SECONDS = 60.0
_LONGEST_PAUSE = 0.4  # before a request on an open connection; far less than HEADER_SECONDS


@dataclass(slots=True)
class KeepAliveClient:
    """One client, in its own thread."""

    port: int
    requests: Sequence[Request]
    truth: Truth
    dice: random.Random
    answers: int = 0
    closed: int = 0  # connections that the server announced to close
    faults: list[str] = field(default_factory=list)

    def run(self, enough: threading.Event) -> None:
        """Send requests until stopped."""
        connection = http.client.HTTPConnection(LOCAL, self.port, timeout=SECONDS)
        with contextlib.closing(connection):
            while not enough.is_set():
                self._send(connection, self.dice.choice(self.requests))

    def _send(self, connection: http.client.HTTPConnection, request: Request) -> None:
        fresh = connection.sock is None
        try:
            if fresh:
                connection.connect()
            time.sleep(self.dice.choice((0, 0, 0, self.dice.uniform(0, _LONGEST_PAUSE))))
            connection.request(request.method, request.path, request.body)
            response = connection.getresponse()
            body = response.read()
        except (OSError, http.client.HTTPException) as error:
            where = "a new" if fresh else "a reused"
            self.faults.append(f"{request.kind} on {where} connection: {error!r}")
            connection.close()
            return
        self.answers += 1
        self.closed += response.will_close
        fault = fault_in(request, body, self.truth) if response.status == 200 else body.decode()
        if fault:
            self.faults.append(f"{request.kind}: status {response.status}: {fault}")


@contextlib.contextmanager
def sending(clients: Sequence[KeepAliveClient]) -> Iterator[None]:
    """Let them all send during the block."""
    enough = threading.Event()
    threads = [
        threading.Thread(target=client.run, args=(enough,), name="keep-alive client")
        for client in clients
    ]
    for thread in threads:
        thread.start()
    try:
        yield
    finally:
        enough.set()
        for thread in threads:
            thread.join(SECONDS + 10)
