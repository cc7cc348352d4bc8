"""The client watch over real sockets: it detects every kind of disconnect, and no false ones.

Covers `silence`.
"""

import contextlib
import os
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field

import pytest

from rowcast_http.client_watch import ClientWatch

PATIENCE = 20.0


@pytest.fixture(scope="module")
def watch() -> Iterator[ClientWatch]:
    started = ClientWatch(client_seconds=30)
    started.start()
    yield started
    started.close()


@dataclass
class Pair:
    """A client, the server's end of its connection, and whether a disconnect was detected."""

    client: socket.socket
    served: socket.socket
    gone: threading.Event = field(default_factory=threading.Event)
    calls: int = 0

    def see(self) -> None:
        self.calls += 1
        self.gone.set()


@contextlib.contextmanager
def connected() -> Iterator[Pair]:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname(), timeout=PATIENCE)
        served, _ = listener.accept()
    with client, served:
        yield Pair(client, served)


@pytest.fixture
def pair() -> Iterator[Pair]:
    with connected() as made:
        yield made


def reset(client: socket.socket) -> None:
    """Disconnect with a reset, as when a process is killed with unread data."""
    client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    client.close()


def half_close(client: socket.socket) -> None:
    client.shutdown(socket.SHUT_WR)


def pipeline_and_close(client: socket.socket) -> None:
    client.sendall(b"GET /next HTTP/1.1\r\n" * 50)
    client.close()


WAYS: list[Callable[[socket.socket], None]] = [
    socket.socket.close,
    reset,
    half_close,
    pipeline_and_close,
]


@pytest.mark.parametrize("leave", WAYS)
def test_a_client_that_leaves_is_seen(
    watch: ClientWatch, pair: Pair, leave: Callable[[socket.socket], None]
) -> None:
    unwatch = watch.watch(pair.served, pair.see)
    leave(pair.client)
    assert pair.gone.wait(PATIENCE)
    assert pair.calls == 1
    assert len(watch) == 0
    unwatch()


@pytest.mark.parametrize("leave", WAYS)
def test_a_client_that_had_left_before_is_seen_too(
    watch: ClientWatch, pair: Pair, leave: Callable[[socket.socket], None]
) -> None:
    leave(pair.client)
    unwatch = watch.watch(pair.served, pair.see)
    assert pair.gone.wait(PATIENCE)
    unwatch()


def test_a_client_that_sends_more_has_not_gone(watch: ClientWatch, pair: Pair) -> None:
    unwatch = watch.watch(pair.served, pair.see)
    pair.client.sendall(b"pipelined")
    let_it_look(watch)
    assert not pair.calls
    unwatch()


def test_nothing_that_the_client_sent_is_taken_away(watch: ClientWatch, pair: Pair) -> None:
    unwatch = watch.watch(pair.served, pair.see)
    pipeline_and_close(pair.client)
    assert pair.gone.wait(PATIENCE)
    assert pair.served.recv(4) == b"GET "
    unwatch()


def test_after_the_watch_nobody_is_called(watch: ClientWatch, pair: Pair) -> None:
    watch.watch(pair.served, pair.see)()
    assert len(watch) == 0
    pair.client.close()
    let_it_look(watch)
    assert not pair.calls


def test_a_watch_may_end_twice_and_after_the_socket(watch: ClientWatch, pair: Pair) -> None:
    unwatch = watch.watch(pair.served, pair.see)
    pair.served.close()
    unwatch()
    unwatch()


def test_a_connection_is_watched_again_for_its_next_request(watch: ClientWatch, pair: Pair) -> None:
    watch.watch(pair.served, pytest.fail)()
    unwatch = watch.watch(pair.served, pair.see)
    pair.client.close()
    assert pair.gone.wait(PATIENCE)
    unwatch()


def test_an_old_watch_that_ends_late_leaves_the_new_one_alone(
    watch: ClientWatch, pair: Pair
) -> None:
    first = watch.watch(pair.served, lambda: pytest.fail("the old watch was called"))
    first()
    second = watch.watch(pair.served, pair.see)
    first()
    pair.client.close()
    assert pair.gone.wait(PATIENCE)
    second()


def test_a_descriptor_that_is_used_again_belongs_to_its_new_client(watch: ClientWatch) -> None:
    with connected() as old, connected() as new:
        descriptor = old.served.fileno()
        unwatch_old = watch.watch(old.served, old.see)
        os.dup2(new.served.fileno(), descriptor)  # ends the old connection, unseen by the watch
        unwatch_new = watch.watch(old.served, new.see)
        unwatch_old()
        new.client.close()
        assert new.gone.wait(PATIENCE)
        assert not old.calls
        unwatch_new()


def test_one_client_s_end_is_not_another_s(watch: ClientWatch) -> None:
    with connected() as leaving, connected() as staying:
        unwatches = [watch.watch(each.served, each.see) for each in (leaving, staying)]
        leaving.client.close()
        assert leaving.gone.wait(PATIENCE)
        assert not staying.calls
        for unwatch in unwatches:
            unwatch()


def test_many_clients_that_leave_at_once_are_all_seen(watch: ClientWatch) -> None:
    with contextlib.ExitStack() as stack:
        pairs = [stack.enter_context(connected()) for _ in range(100)]
        unwatches = [watch.watch(each.served, each.see) for each in pairs]
        for each in pairs:
            each.client.close()
        assert all(each.gone.wait(PATIENCE) for each in pairs)
        assert {each.calls for each in pairs} == {1}
        for unwatch in unwatches:
            unwatch()


def test_the_kernel_is_told_to_end_clients_that_fall_silent(watch: ClientWatch, pair: Pair) -> None:
    unwatch = watch.watch(pair.served, pair.see)
    option = pair.served.getsockopt
    assert option(socket.SOL_SOCKET, socket.SO_KEEPALIVE)
    assert option(socket.IPPROTO_TCP, socket.TCP_KEEPIDLE) == 10
    assert option(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == 30_000
    unwatch()


def test_a_unix_socket_is_watched_as_well(watch: ClientWatch) -> None:
    client, served = socket.socketpair()
    with client, served:
        pair = Pair(client, served)
        unwatch = watch.watch(served, pair.see)
        client.close()
        assert pair.gone.wait(PATIENCE)
        unwatch()


def test_without_a_limit_of_its_own_it_leaves_the_listener_s(pair: Pair) -> None:
    before = pair.served.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT)
    own = ClientWatch()
    own.start()
    unwatch = own.watch(pair.served, pair.see)
    assert pair.served.getsockopt(socket.IPPROTO_TCP, socket.TCP_USER_TIMEOUT) == before
    pair.client.close()
    assert pair.gone.wait(PATIENCE)
    unwatch()
    own.close()


def test_closing_ends_the_thread() -> None:
    short = ClientWatch(client_seconds=1)
    short.start()
    short.close()
    assert not short._thread.is_alive()


def let_it_look(watch: ClientWatch) -> None:
    """Return when the watch has handled everything that happened before."""
    with connected() as probe:
        unwatch = watch.watch(probe.served, probe.see)
        probe.client.close()
        assert probe.gone.wait(PATIENCE)
        unwatch()
