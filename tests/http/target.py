"""Sends the corpus over raw sockets, many cases at a time, each followed by a valid request.

`Target.try_case(case, drip=…)` returns an `Outcome`: the answers, whether the connection stayed
open (then a probe was answered on it), and the answer to a valid request on a new connection. Every
wait has a limit, so a hang is an outcome too.
"""

import contextlib
import json
import socket
import time
from dataclasses import dataclass, field

from commands.bench.verification.scripted_rule import reply_to

from .answers import Answer, Incomplete, read_answers
from .case import GOOD_BODY, MAX_TOKENS, PROMPT, SEED, TOKEN_PLACE, Case, asked, sent

PATIENCE = 30.0  # far more than any limit of the servers under test
PACE = 0.1  # seconds between the bytes of a slow client
PROBE_ID = "probe"


@dataclass(frozen=True, slots=True)
class Outcome:
    """The outcome of a case."""

    answers: list[Answer]
    probe: Answer | None  # answer to a valid request on the same connection
    next: Answer  # answer to a valid request on a new connection

    def keeps_its_word(self, case: Case) -> bool:
        """True if a connection that did not announce its end answered a valid request."""
        if self.probe is not None:
            return self.probe.status == 200
        return not self.answers or case.ends or self.answers[-1].last


@dataclass(slots=True)
class _Talk:
    """One connection: the bytes received so far, and whether it has ended."""

    sock: socket.socket
    bodiless: bool = False
    received: bytes = b""
    ended: bool = False
    limit: float = field(default_factory=lambda: time.monotonic() + PATIENCE)

    def send(self, data: bytes, *, drip: bool = False) -> None:
        """Send; ignore a closed connection.

        A server may refuse early, and its answer is still read.
        """
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            for at in range(0, len(data), 1 if drip else max(1, len(data))):
                self.sock.sendall(data[at : at + 1] if drip else data)

    def end(self) -> None:
        with contextlib.suppress(OSError):
            self.sock.shutdown(socket.SHUT_WR)

    def receive(self, patience: float = PATIENCE) -> None:
        left = min(patience, self.limit - time.monotonic())
        if left <= 0:
            raise TimeoutError(f"nothing ends it; so far came {self.received[:200]!r}")
        self.sock.settimeout(left)
        try:
            data = self.sock.recv(65536)
        except ConnectionResetError:
            data = b""
        self.received += data
        self.ended = not data

    def first(self) -> Answer | None:
        """Return the first final answer once it is complete; None if the connection ends first."""
        while True:
            with contextlib.suppress(Incomplete):
                answers = self.answers()
                if answers or self.ended:
                    return answers[0] if answers else None
            self.receive()

    def all(self) -> list[Answer]:
        """Wait for the end of the connection; return all answers."""
        while not self.ended:
            self.receive()
        return self.answers()

    def answers(self) -> list[Answer]:
        return read_answers(self.received, ended=self.ended, bodiless=self.bodiless)


@dataclass(frozen=True, slots=True)
class Target:
    """A server or a proxy under test."""

    port: int
    token: str
    is_proxy: bool

    def try_case(self, case: Case, *, drip: bool) -> Outcome:
        with self._connection() as sock:
            talk = _Talk(sock, bodiless=case.raw.startswith(b"HEAD "))
            talk.send(self._with_token(case.raw), drip=drip)
            if case.ends:
                talk.end()
            first = talk.first()
            if first is not None and not first.last and not case.ends:
                talk.send(self._with_token(_PROBE))
            answers = talk.all()
        probe = answers.pop() if answers and answers[-1].request_id == PROBE_ID else None
        return Outcome(answers, probe, self.ask_well())

    def try_slowly(self, raw: bytes, more: bytes) -> list[Answer]:
        """Send the beginning of a request, then `more` repeatedly, until the connection ends."""
        with self._connection() as sock:
            talk = _Talk(sock)
            talk.send(self._with_token(raw))
            while not talk.ended:
                with contextlib.suppress(TimeoutError):
                    talk.receive(PACE)
                assert time.monotonic() < talk.limit, "it may go on for ever"
                talk.send(more)
            return talk.answers()

    def ask_well(self) -> Answer:
        """Send a valid prompt on a new connection."""
        with self._connection() as sock:
            talk = _Talk(sock)
            talk.send(self._with_token(sent(GOOD_BODY, b"Connection: close")))
            (answer,) = talk.all()
        return answer

    def _connection(self) -> socket.socket:
        sock = socket.create_connection(("127.0.0.1", self.port), timeout=PATIENCE)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        return sock

    def _with_token(self, raw: bytes) -> bytes:
        assert len(self.token) == len(TOKEN_PLACE)
        return raw.replace(TOKEN_PLACE, self.token.encode())


_PROBE = asked(
    b"GET /liveness HTTP/1.1", b"X-Request-ID: " + PROBE_ID.encode(), b"Connection: close"
)

GOOD_REPLY = reply_to(PROMPT, SEED, MAX_TOKENS).text


def is_refusal(answer: Answer) -> bool:
    """True if it is an error in our form, with a message that a person can use."""
    if answer.headers.get("content-type") != "application/json":
        return False
    said = json.loads(answer.body)
    message = said.get("message")
    return (
        set(said) == {"status_code", "message"}
        and said["status_code"] == answer.status
        and isinstance(message, str)
        and 10 <= len(message) <= 10_000
        and "Traceback" not in message
        and "Error(" not in message
    )
