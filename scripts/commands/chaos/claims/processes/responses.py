"""Responses in the background, while a decoder, a worker or the whole server is killed.

Each has a reader that leaves now and then, and comes back at a random event that it has seen. No
event may be missing, doubled or different, and the text must be that of an undisturbed server.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import random
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from time import monotonic, sleep
from typing import Any

import psutil

from commands.chaos.claim import Claim, Finding, Sizes
from commands.chaos.context import Context
from commands.chaos.traffic.flow import PATIENCE
from http_client.events import EventBlocks, parse_event
from http_client.json_server import JsonServer
from local.server import Server

AT_ONCE = 12  # responses in a round
KILLS = 5  # in a round
TOKENS = 240
PAUSE = 0.1  # before a reader whose connection broke comes back
ENDS = frozenset({"response.completed", "response.incomplete", "response.failed"})
BROKEN = (OSError, http.client.HTTPException)


def _run(context: Context, dice: random.Random, size: int) -> Finding:
    found, readers, killed = Finding(), list[Reader](), 0
    journal = context.folder / "journal.db"
    with context.server(WORKERS=2, JOURNAL=journal, step=0.02) as server:
        client = _client(server)
        while killed < size:
            some = [_begun(client, server.port, dice) for _ in range(AT_ONCE)]
            for _ in range(min(KILLS, size - killed)):
                sleep(dice.random())
                _kill(server, dice)
                killed += 1
                context.progress(f"{killed} of {size} kills")
            for reader in some:
                reader.join()
            readers += some
        for reader in readers:
            reader.read_again(client)
    with context.server(step=0) as undisturbed:
        client = _client(undisturbed)
        found.faults += [fault for reader in readers for fault in reader.faults_beside(client)]
    returns = sum(reader.returns for reader in readers)
    events = sum(len(reader.events) for reader in readers)
    found.figures.append(
        f"{size} kills, {len(readers)} responses, {returns} resumptions, {events} events; "
        f"{len(found.faults)} lost, doubled or altered"
    )
    found.expect(returns, "no reader came back: nothing was tested")
    return found


def _client(server: Server) -> JsonServer:
    return JsonServer(url=f"http://127.0.0.1:{server.port}", token=None, seconds=60, agent="")


def _begun(client: JsonServer, port: int, dice: random.Random) -> Reader:
    """Create a response, and begin to read it."""
    number = dice.randrange(1 << 30)
    body = {
        "model": "scripted",
        "input": f"Response number {number}.",
        "seed": number,
        "max_output_tokens": TOKENS,
    }
    created = client.post("/v1/responses", {**body, "background": True})
    return Reader(port, created["id"], body, random.Random(number))  # noqa: S311


def _kill(server: Server, dice: random.Random) -> None:
    """Kill a process of a random kind, and wait until the server is ready again."""
    kind = dice.choice(("decoder", "worker", "server"))
    if kind == "server":
        server.kill()
        server.start()
        return
    with contextlib.suppress(psutil.NoSuchProcess):
        if kind == "decoder":
            server.current_backend().kill()
        else:
            dice.choice(server.workers()).kill()
    server.wait_until(server.ready, "the server is ready again")


@dataclass(slots=True)
class Reader:
    """Reads one response in a thread, to its end, however often its connection breaks."""

    port: int
    name: str
    body: dict[str, Any]
    dice: random.Random
    events: dict[int, str] = field(default_factory=dict)  # data, by number
    faults: list[str] = field(default_factory=list)
    returns: int = 0
    response: dict[str, Any] = field(default_factory=dict)
    _ended: bool = False
    _thread: threading.Thread = field(init=False)

    def __post_init__(self) -> None:
        self._thread = threading.Thread(target=self._read_all, daemon=True)
        self._thread.start()

    def join(self) -> None:
        """Wait for the end."""
        self._thread.join(2 * PATIENCE)
        if not self._ended:
            self.faults.append(
                f"{self.name} has not ended after event {max(self.events, default=-1)}"
            )

    def read_again(self, client: JsonServer) -> None:
        """Read all events once more, and the response as a whole."""
        events, self.events, self._ended = self.events, {}, False
        with contextlib.suppress(*BROKEN):
            self._read(-1, len(events) + 1)
        if self.events != events:
            self.faults.append(f"{self.name}: read again, its events differ")
        self.response = client.get(f"/v1/responses/{self.name}")

    def faults_beside(self, client: JsonServer) -> Iterator[str]:
        """Yield all faults, also in comparison with an undisturbed server."""
        yield from self.faults
        expected = client.post("/v1/responses", self.body)
        if _texts(self.response) != _texts(expected) or not _texts(self.response):
            yield f"{self.name}: its text is not that of an undisturbed server"

    def _read_all(self) -> None:
        until = monotonic() + 2 * PATIENCE
        while not self._ended and monotonic() < until:
            after = self.dice.randint(-1, max(self.events)) if self.events else -1
            with contextlib.suppress(*BROKEN):
                self._read(after, self.dice.randint(1, TOKENS))
            self.returns += not self._ended
            sleep(PAUSE)

    def _read(self, after: int, count: int) -> None:
        """Read at most `count` events after one."""
        with contextlib.closing(http.client.HTTPConnection("127.0.0.1", self.port)) as connection:
            connection.timeout = PATIENCE
            position = f"&starting_after={after}" if after >= 0 else ""
            connection.request("GET", f"/v1/responses/{self.name}?stream=true{position}")
            answer = connection.getresponse()
            if answer.status != 200:
                return
            for name, data in _events(answer):
                after += 1
                self._take(after, name, data)
                count -= 1
                if self._ended or not count:
                    return

    def _take(self, expected: int, name: str, data: str) -> None:
        number = json.loads(data)["sequence_number"]
        if number != expected:
            self.faults.append(f"{self.name}: event {number} in place of {expected}")
        if self.events.setdefault(number, data) != data:
            self.faults.append(f"{self.name}: event {number} was different before")
        if name == "response.failed":
            self.faults.append(f"{self.name}: {data[:200]}")
        self._ended = self._ended or name in ENDS


def _events(answer: http.client.HTTPResponse) -> Iterator[tuple[str, str]]:
    blocks = EventBlocks()
    while part := answer.read1():
        for block in blocks.feed([part]):
            if event := parse_event(block.decode()):
                yield event.name, event.data


def _texts(response: dict[str, Any]) -> list[str]:
    """Return the texts of a response's output."""
    return [part["text"] for item in response["output"] for part in item["content"]]


CLAIM = Claim(
    "responses",
    "A decoder, a worker or the server is killed: background responses are resumed at random "
    "events, none lost, doubled or altered",
    Sizes(test=6, ci=20, full=200),
    "kills",
    _run,
)
