"""Clients vanish, in every phase and in every way; afterwards the server holds nothing for them.

`VANISHING` is their number (200; 2000 for the full measure). Phases: half a body sent, in the
waiting line, in prefill, in decode, after the headers. Ways: FIN, RST, half-close, silence.
"""

import contextlib
import itertools
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import psutil
import pytest

from processes import Running, running_server, until
from raw_http import Client, request_bytes
from reliability.conftest import Start
from reliability.streams import PATH, begin_several, works
from scripted_replies import long_reply

pytestmark = pytest.mark.slow

VANISHING = int(os.environ.get("VANISHING", "200"))
AT_ONCE = 20
CLIENT_SECONDS = 2

Phase = Callable[[Client], object]
Manner = Callable[[Client], None]

SEED = long_reply("Gone soon. ", at_least=300)
SHORT = request_bytes(PATH, {"text": "Gone soon. ", "seed": SEED, "max_tokens": 300})
PREFILL = request_bytes(PATH, {"text": "x" * 8000, "max_tokens": 300})


def _half_a_body(client: Client) -> None:
    client.send(SHORT[:-20])


def _at_once(client: Client) -> None:
    client.send(SHORT)


def _in_prefill(client: Client) -> None:
    client.send(PREFILL).read_headers()


def _after_headers(client: Client) -> None:
    client.send(SHORT).read_headers()


def _in_decode(client: Client) -> None:
    client.send(SHORT).read_body()


def _silent(client: Client) -> None:
    """Stay connected, and do nothing more."""


PHASES: tuple[Phase, ...] = (_half_a_body, _at_once, _in_prefill, _after_headers, _in_decode)
LEAVING: tuple[Manner, ...] = (Client.leave, Client.abort, Client.half_close)


@pytest.fixture(scope="module")
def patient(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server from which many clients vanish."""
    env = {
        "STEP_SECONDS": "0.005",
        "CLIENT_SECONDS": str(CLIENT_SECONDS),
        "BODY_SECONDS": "2",
        "HEADER_SECONDS": "2",
    }
    with running_server(tmp_path_factory.mktemp("patient"), env=env) as running:
        yield running


# Helper processes are started on first use, and stay: one socket for their fork server, and one
# socket and one handle for each of the two helpers.
HELPERS_DESCRIPTORS = 5


@dataclass(frozen=True)
class _Held:
    """The resources that worker and backend hold."""

    descriptors: int
    threads: int

    @classmethod
    def by(cls, server: Running) -> "_Held":
        holders = [psutil.Process(server.workers()[0].pid), server.backend()]
        return cls(
            sum(each.num_fds() for each in holders), sum(each.num_threads() for each in holders)
        )

    def not_more_than(self, other: "_Held") -> bool:
        return (
            self.descriptors <= other.descriptors + HELPERS_DESCRIPTORS
            and self.threads <= other.threads
        )


def _all_is_free(server: Running) -> bool:
    return server.rows_seated() == 0 and server.waiting() == 0


def _vanish(port: int, ways: list[tuple[Phase, Manner]]) -> None:
    with contextlib.ExitStack() as stack:
        clients = [stack.enter_context(Client(port)) for _ in ways]
        for client, (phase, _) in zip(clients, ways, strict=True):
            phase(client)
        for client, (_, manner) in zip(clients, ways, strict=True):
            manner(client)


def test_vanishing_clients_leave_nothing_behind(patient: Running) -> None:
    assert works(patient.port)
    until(lambda: _all_is_free(patient), "all is free at the beginning")
    before = _Held.by(patient)
    ways = itertools.cycle(itertools.product(PHASES, LEAVING))
    for _ in range(0, VANISHING, AT_ONCE):
        _vanish(patient.port, list(itertools.islice(ways, AT_ONCE)))
    until(lambda: _all_is_free(patient), "rows and waiting line are free")
    until(lambda: _Held.by(patient).not_more_than(before), "descriptors and threads are as before")
    assert works(patient.port)


def test_clients_that_fall_silent_leave_nothing_behind(patient: Running) -> None:
    assert works(patient.port)
    before = _Held.by(patient)
    with contextlib.ExitStack() as stack:
        for phase in itertools.islice(itertools.cycle(PHASES), max(AT_ONCE, VANISHING // 10)):
            phase(stack.enter_context(Client(patient.port, receive_buffer=2048)))
        until(lambda: _all_is_free(patient), "rows and waiting line are free")
        until(
            lambda: _Held.by(patient).not_more_than(before), "descriptors and threads are as before"
        )
    assert works(patient.port)


def test_clients_that_vanish_from_the_waiting_line_are_seen(start: Start) -> None:
    server = start(STEP_SECONDS=0.05)
    seated = begin_several(server.port, 32, 500)
    waiting = [Client(server.port).send(SHORT).read_headers() for _ in range(12)]
    until(lambda: server.waiting() == len(waiting), "the line has filled")
    for client, manner in zip(waiting, itertools.cycle(LEAVING), strict=False):
        manner(client)
    until(lambda: server.waiting() == 0, "the line is empty")
    assert server.rows_seated() == len(seated), "a seat was not needed to see them go"
    for stream in seated:
        stream.client.leave()
    until(lambda: _all_is_free(server), "the rows are free")


@pytest.fixture(scope="module")
def crawling(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server that takes longer for a long prompt than the tests wait."""
    env = {"STEP_SECONDS": "1", "CLIENT_SECONDS": str(CLIENT_SECONDS)}
    with running_server(tmp_path_factory.mktemp("crawling"), env=env) as running:
        yield running


def _send_long_prompt(client: Client) -> None:
    body = {"text": "x" * 12000, "return_prompt": True}
    client.send(request_bytes(PATH, body)).read_headers()


@pytest.mark.parametrize("manner", LEAVING)
def test_a_client_that_vanishes_in_prefill_is_seen_before_anything_is_written(
    crawling: Running, manner: Manner
) -> None:
    with Client(crawling.port) as client:
        _send_long_prompt(client)
        until(lambda: crawling.rows_seated() == 1, "it is seated")
        manner(client)
        until(lambda: crawling.rows_seated() == 0, "its row is free")


def test_a_client_that_stops_reading_loses_its_row_though_its_prompt_is_being_read(
    crawling: Running,
) -> None:
    """The client's window is full after some 2 kB, and it stays connected."""
    with Client(crawling.port, receive_buffer=2048) as client:
        _send_long_prompt(client)
        until(lambda: crawling.rows_seated() == 1, "it is seated")
        until(lambda: crawling.rows_seated() == 0, "its row is free")
