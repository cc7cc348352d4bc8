"""A program: another team's calm use of a server, recorded as it happens.

    python -m commands.abuse.measurement.watcher ORDERS LINES

Three threads, until SIGTERM: a stream that is restarted whenever it ends, a short request every
quarter of a second, a health check every second. Each event is a line of JSON: what happened, when
(monotonic, which all processes of a machine share), and more. This program only writes; the reader
of the lines judges.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import sys
import threading
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from time import monotonic
from typing import Any, Self

from commands.abuse.attacks.shot import COMPLETIONS
from commands.abuse.delivery.plan import Address

SHORT_EVERY, HEALTH_EVERY, AGAIN_AFTER = 0.25, 1.0, 0.2
PATIENCE = 120.0
PROMPT = "Once upon a time"


@dataclass(frozen=True, slots=True)
class Orders:
    """What to request, and where."""

    address: Address
    front: Address  # whose health is checked
    model: str
    tokens: int  # of the stream
    characters: int = 0  # of the short request's prompt; 0: a few words

    @classmethod
    def read(cls, path: Path) -> Self:
        """Read them from a file."""
        fields = json.loads(path.read_text())
        addresses = (Address.read(fields["address"]), Address.read(fields["front"]))
        return cls(*addresses, fields["model"], fields["tokens"], fields["characters"])

    def write(self, path: Path) -> None:
        """Write them to a file that only its owner can read, since they hold credentials."""
        path.touch(mode=0o600)
        path.write_text(json.dumps(asdict(self)))

    @property
    def stream(self) -> dict[str, object]:
        """Return the body of the stream that is watched."""
        return self._body(self.tokens, PROMPT) | {"stream": True}

    @property
    def short(self) -> dict[str, object]:
        """Return the body of a short request."""
        times = self.characters // (len(PROMPT) + 2) + 1
        return self._body(4, ", ".join([PROMPT] * times))

    def _body(self, tokens: int, prompt: str) -> dict[str, object]:
        how = {"ignore_eos": True, "seed": 1}
        return {"model": self.model, "prompt": prompt, "max_tokens": tokens, **how}


class Watcher:
    """The three threads, and the file that they write to."""

    def __init__(self, orders: Orders, into: Path) -> None:
        self._orders = orders
        self._file = into.open("w", buffering=1)
        self._lock = threading.Lock()
        self._over = threading.Event()

    def run(self) -> None:
        """Run until SIGTERM."""
        for how in (signal.SIGTERM, signal.SIGINT):
            signal.signal(how, lambda *_: self._over.set())
        parts = (self._stream, self._short, self._health)
        threads = [threading.Thread(target=part, daemon=True) for part in parts]
        for thread in threads:
            thread.start()
        parent = os.getppid()
        while not self._over.wait(0.5):
            if os.getppid() != parent:
                return

    def _record(self, what: str, *more: object) -> None:
        line = json.dumps([what, monotonic(), *more])
        with self._lock:
            self._file.write(line + "\n")

    def _stream(self) -> None:
        while not self._over.is_set():
            self._record("begun")
            try:
                with self._request(self._orders.address, self._orders.stream) as response:
                    self._read(response)
            except (OSError, http.client.HTTPException) as error:
                self._record("cut", f"{type(error).__name__} {error}")
                self._over.wait(AGAIN_AFTER)

    def _read(self, response: http.client.HTTPResponse) -> None:
        if response.status != 200:
            self._record("refused", response.status)
            self._over.wait(AGAIN_AFTER)
            return
        whole = False
        while line := response.readline():
            if line.startswith(b'data: {"error"'):
                break
            whole = line.startswith(b"data: [DONE]")
            if line.startswith(b"data: {"):
                self._record("chunk")
            if whole:
                break
        self._record("ended" if whole else "cut", "the stream ended without its end")

    def _short(self) -> None:
        while not self._over.wait(SHORT_EVERY):
            began = monotonic()
            self._record("short begun")
            status = self._status(self._orders.address, self._orders.short)
            self._record("short", monotonic() - began, status)

    def _health(self) -> None:
        while not self._over.wait(HEALTH_EVERY):
            began = monotonic()
            self._record("health begun")
            status = self._status(self._orders.front, None, "/readiness")
            self._record("health", monotonic() - began, status)

    def _status(
        self, address: Address, body: dict[str, object] | None, path: str = COMPLETIONS
    ) -> str:
        try:
            with self._request(address, body, path) as response:
                response.read()
                return str(response.status)
        except (OSError, http.client.HTTPException) as error:
            return f"{type(error).__name__} {error}"[:100]

    @contextlib.contextmanager
    def _request(
        self, address: Address, body: dict[str, object] | None, path: str = COMPLETIONS
    ) -> Iterator[http.client.HTTPResponse]:
        connection = http.client.HTTPConnection(address.host, address.port, timeout=PATIENCE)
        with contextlib.closing(connection):
            headers: dict[str, Any] = {"Connection": "close", **dict(address.identity)}
            data = None if body is None else json.dumps(body).encode()
            connection.request("GET" if data is None else "POST", path, data, headers)
            yield connection.getresponse()


if __name__ == "__main__":
    Watcher(Orders.read(Path(sys.argv[1])), Path(sys.argv[2])).run()
