"""A program: delivers the attack in a folder, and writes the answers there.

    python -m commands.abuse.delivery.sender FOLDER

One thread, one selector. It runs at low priority, so that its cost is not taken for the server's.
"""

from __future__ import annotations

import contextlib
import json
import os
import re
import selectors
import socket
import sys
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from commands.abuse.attacks.shot import Attack, Shot
from commands.abuse.delivery.plan import ANSWERS, ATTACK, PLAN, SHOWN, Answers, Plan
from http_client.http1 import MalformedResponseError, ResponseReader
from local.machine import allow_files

MOST_FILES = 8192
PIECE = 1 << 16
TURN_SECONDS = 0.02
_STATUS = re.compile(rb"HTTP/1\.1 ([0-9]{3}) ")


@dataclass(slots=True, eq=False)
class _Link:
    """One connection."""

    shot: Shot
    sock: socket.socket
    began: float
    left: memoryview
    next_byte: float = 0.0
    sent: float = 0.0
    head: bytes = b""
    seen: int = 0
    interest: int = 0  # the events that are registered
    http: ResponseReader = field(default_factory=ResponseReader)

    def write(self) -> None:
        """Send what the connection accepts."""
        if self.shot.drip and monotonic() < self.next_byte:
            return
        count = self.sock.send(self.left[: 1 if self.shot.drip else len(self.left)])
        self.left = self.left[count:]
        self.next_byte = monotonic() + self.shot.drip
        self.sent = monotonic()

    def read(self, answers: Answers) -> bool:
        """Read what has arrived; False at the end."""
        data = self.sock.recv(PIECE)
        if self.shot.times > 1 or self.shot.raw is not None:
            return self._read_several(data, answers)
        try:
            parts = self.http.feed(data)
        except MalformedResponseError as error:
            answers.note("malformed", str(error).encode())
            return False
        if len(self.head) < SHOWN:
            self.head += b"".join(parts)[:SHOWN]
        if data and not self.http.complete:
            return True
        missing = None if self.http.complete else self.http.close()
        status = str(self.http.status or "no answer")
        answers.note(f"{status}, cut" if missing and self.http.status else status, self.head)
        answers.stream = answers.stream or self.http.headers.get("x-stream-id", "")
        return False

    def _read_several(self, data: bytes, answers: Answers) -> bool:
        """Read several answers on one connection; only their statuses are parsed."""
        for found in _STATUS.finditer(self.head + data):
            answers.note(found[1].decode(), data)
            self.seen += 1
        self.head = b"" if _STATUS.search(data[-12:]) else data[-12:]
        if not data and not self.seen:
            answers.note("no answer")
        return bool(data)

    @property
    def due(self) -> bool:
        """True if it is time to close the connection."""
        now, shot = monotonic(), self.shot
        if shot.leave and now > self.began + shot.leave:
            return True
        return bool(shot.hold) and not self.left and now > (self.sent or self.began) + shot.hold


class Sender:
    """All connections of one attack."""

    def __init__(self, plan: Plan) -> None:
        self.answers = Answers()
        self._plan = plan
        self._selector = selectors.DefaultSelector()
        self._links: dict[_Link, _Queue] = {}

    def deliver(self, attack: Attack) -> Answers:
        """Send all of it, and read until everything has ended or the time is over."""
        limit = monotonic() + self._plan.seconds
        if attack.opening is not None:
            self._volley([attack.opening], limit)
        self._volley(attack.shots, limit)
        return self.answers

    def _volley(self, shots: Sequence[Shot], limit: float) -> None:
        queues = [_Queue(shot, self._bytes(shot)) for shot in shots]
        while monotonic() < limit:
            for queue in queues:
                self._begin(queue)
            if not any(queue.busy for queue in queues):
                break
            self._turn()
            self._close_due()
        for link in [*self._links]:
            self._end(link, "unfinished")

    def _bytes(self, shot: Shot) -> memoryview:
        address = self._plan.stranger if shot.stranger else self._plan.team
        return memoryview(shot.request(address.identity, self.answers.stream))

    def _begin(self, queue: _Queue) -> None:
        address = self._plan.stranger if queue.shot.stranger else self._plan.team
        for _ in range(queue.free):
            link = _Link(queue.shot, socket.socket(), monotonic(), queue.data)
            link.sock.setblocking(False)
            link.sock.connect_ex((address.host, address.port))
            queue.left -= 1
            queue.open += 1
            self._links[link] = queue
            self._listen(link)

    def _turn(self) -> None:
        for key, events in self._selector.select(TURN_SECONDS):
            link = key.data
            try:
                is_open = self._serve(link, events)
            except BlockingIOError:
                continue
            except OSError as error:
                self._end(link, error.strerror or "failed")
                continue
            if not is_open:
                self._end(link)
        self._wake_dripping()

    def _serve(self, link: _Link, events: int) -> bool:
        if events & selectors.EVENT_READ and not link.read(self.answers):
            return False
        if events & selectors.EVENT_WRITE and link.left:
            link.write()
        self._listen(link)
        return True

    def _listen(self, link: _Link) -> None:
        """Register for the events that the connection waits for, if any."""
        wanted, registered = _interest(link), link.interest
        if registered and wanted and registered != wanted:
            self._selector.modify(link.sock, wanted, link)
        elif wanted and not registered:
            self._selector.register(link.sock, wanted, link)
        elif registered and not wanted:
            self._selector.unregister(link.sock)
        link.interest = wanted

    def _wake_dripping(self) -> None:
        """Write the next byte of connections whose time has come."""
        for link in self._links:
            if link.shot.drip and link.left and monotonic() >= link.next_byte:
                with contextlib.suppress(OSError):
                    link.write()

    def _close_due(self) -> None:
        for link in [*self._links]:
            if link.due:
                self._end(link, "left")

    def _end(self, link: _Link, why: str = "") -> None:
        if why:
            self.answers.note(why, link.head)
        if link.interest:
            self._selector.unregister(link.sock)
        link.sock.close()
        self._links.pop(link).open -= 1


@dataclass(slots=True)
class _Queue:
    """The connections of a shot that are still to be opened."""

    shot: Shot
    data: memoryview
    left: int = -1
    open: int = 0

    def __post_init__(self) -> None:
        self.left = self.shot.copies

    @property
    def busy(self) -> bool:
        return bool(self.left or self.open)

    @property
    def free(self) -> int:
        width = self.shot.width or self.shot.copies
        return min(self.left, width - self.open)


def _interest(link: _Link) -> int:
    """Return the events that a connection waits for."""
    reads = selectors.EVENT_READ if link.shot.reads else 0
    writes = selectors.EVENT_WRITE if link.left and not link.shot.drip else 0
    return reads | writes


def main(argv: list[str]) -> None:
    """Deliver, and write the answers."""
    folder = Path(argv[0])
    allow_files(MOST_FILES)
    os.nice(10)
    answers = Sender(Plan.read(folder / PLAN)).deliver(Attack.load(folder / ATTACK))
    written = {"counts": answers.counts, "bodies": answers.bodies}
    (folder / ANSWERS).write_text(json.dumps(written))


if __name__ == "__main__":
    main(sys.argv[1:])
