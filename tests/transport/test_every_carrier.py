"""What every carrier promises: order, completeness, several frontends, and a visible end.

Covers `transport/ports`.
"""

import threading
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from rowcast.errors import PeerGone
from rowcast.sampling_params import SamplingParams
from rowcast.transport.carriers import CARRIERS
from rowcast.transport.carriers import carrier as made_by
from rowcast.transport.ports import FrontendPort, Gone, Joined
from rowcast.wire import Accepted, Cancel, Event, Submit

from .carriers import PATIENCE, Carrier, events, tokens
from .spool import Spool


@pytest.fixture(params=["memory:", "unix:{0}/backend.sock", "spool:{0}"])
def carrier(
    request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Carrier]:
    monkeypatch.setitem(CARRIERS, "spool", Spool)
    way = made_by(str(request.param).format(tmp_path))
    made = Carrier(way.listen(), way.connect)
    yield made
    made.backend.close()


def submit(session: str, length: int = 3) -> Submit:
    return Submit(session, 0, tuple(range(length)), SamplingParams(max_tokens=5), 7, "team")


def test_a_frontend_that_connects_has_joined(carrier: Carrier) -> None:
    carrier.connect()
    assert [arrival for _, arrival in carrier.arrivals(1)] == [Joined()]


def test_commands_arrive_whole_and_in_order(carrier: Carrier) -> None:
    port, name = carrier.join()
    port.send([submit("a"), Cancel("a", 0)])
    port.send([submit("b")])
    sent = [submit("a"), Cancel("a", 0), submit("b")]
    assert carrier.arrivals(3) == [(name, command) for command in sent]


def test_events_arrive_whole_and_in_order(carrier: Carrier) -> None:
    port, name = carrier.join()
    carrier.backend.send(name, [Accepted("a", 0), tokens("a", 2)])
    carrier.backend.send(name, [tokens("b", 1)])
    assert events(port, 3) == [Accepted("a", 0), tokens("a", 2), tokens("b", 1)]


def test_nothing_arrives_when_nothing_was_sent(carrier: Carrier) -> None:
    port, _ = carrier.join()
    assert carrier.backend.receive(0.01) == []
    port.close()


def test_each_frontend_gets_its_own_events(carrier: Carrier) -> None:
    ports = [carrier.join() for _ in range(3)]
    for number, (_, name) in enumerate(ports):
        carrier.backend.send(name, [Accepted(f"session {number}", 0)])
    assert [events(port, 1) for port, _ in ports] == [
        [Accepted(f"session {number}", 0)] for number in range(3)
    ]


def test_the_backend_knows_who_sent_what(carrier: Carrier) -> None:
    (first, first_name), (second, second_name) = carrier.join(), carrier.join()
    assert first_name != second_name
    first.send([Cancel("first", 0)])
    second.send([Cancel("second", 0)])
    assert dict(carrier.arrivals(2)) == {
        first_name: Cancel("first", 0),
        second_name: Cancel("second", 0),
    }


@pytest.mark.parametrize("length", [30_000, 1_000_000])
def test_a_prompt_larger_than_any_buffer_arrives(carrier: Carrier, length: int) -> None:
    port, name = carrier.join()
    sender = threading.Thread(target=port.send, args=([submit("long", length)],))
    sender.start()
    assert carrier.arrivals(1) == [(name, submit("long", length))]
    sender.join(PATIENCE)


@pytest.mark.parametrize("length", [30_000, 1_000_000])
def test_events_larger_than_any_buffer_arrive(carrier: Carrier, length: int) -> None:
    port, name = carrier.join()
    carrier.backend.send(name, [tokens("long", length), tokens("short", 1)])
    with carrier.pumped():
        assert events(port, 2) == [tokens("long", length), tokens("short", 1)]


def test_a_frontend_that_closes_is_gone_after_its_last_command(carrier: Carrier) -> None:
    port, name = carrier.join()
    port.send([Cancel("a", 0)])
    port.close()
    assert carrier.arrivals(2) == [(name, Cancel("a", 0)), (name, Gone())]


def test_a_frontend_is_gone_once(carrier: Carrier) -> None:
    port, name = carrier.join()
    port.close()
    port.close()
    assert carrier.arrivals(1) == [(name, Gone())]
    carrier.backend.send(name, [Accepted("a", 0)])
    assert carrier.backend.receive(0.01) == []


def test_events_for_an_unknown_frontend_are_ignored(carrier: Carrier) -> None:
    port, name = carrier.join()
    carrier.backend.send(name + 1000, [Accepted("nobody", 0)])
    carrier.backend.send(name, [Accepted("somebody", 0)])
    assert events(port, 1) == [Accepted("somebody", 0)]


def test_a_frontend_that_goes_leaves_the_others_alone(carrier: Carrier) -> None:
    (leaving, _), (staying, name) = carrier.join(), carrier.join()
    leaving.close()
    carrier.arrivals(1)
    carrier.backend.send(name, [Accepted("a", 0)])
    assert events(staying, 1) == [Accepted("a", 0)]


def test_the_end_of_the_backend_is_seen_after_its_last_event(carrier: Carrier) -> None:
    port, name = carrier.join()
    carrier.backend.send(name, [Accepted("a", 0)])
    carrier.backend.close()
    assert events(port, 1) == [Accepted("a", 0)]
    with pytest.raises(PeerGone):
        port.receive()


@pytest.mark.parametrize("until_closed", [False, True])
def test_a_reader_that_waits_sees_the_end_of_the_backend(
    carrier: Carrier, *, until_closed: bool
) -> None:
    port, _ = carrier.join()
    seen: list[str] = []
    reader = threading.Thread(target=lambda: seen.append(read_to_the_end(port, until_closed)))
    reader.start()
    carrier.backend.close()
    reader.join(PATIENCE)
    assert seen == ["end"]


@pytest.mark.parametrize("until_closed", [False, True])
def test_a_reader_that_waits_sees_its_own_port_close(
    carrier: Carrier, *, until_closed: bool
) -> None:
    port, _ = carrier.join()
    seen: list[str] = []
    reader = threading.Thread(target=lambda: seen.append(read_to_the_end(port, until_closed)))
    reader.start()
    port.close()
    reader.join(PATIENCE)
    assert seen == ["end"]


def test_commands_for_a_backend_that_has_ended_are_refused(carrier: Carrier) -> None:
    port, _ = carrier.join()
    carrier.backend.close()
    with pytest.raises(PeerGone):
        port.send([Cancel("a", 0)])


@pytest.mark.parametrize("until_closed", [False, True])
def test_a_port_that_was_closed_carries_nothing(carrier: Carrier, *, until_closed: bool) -> None:
    port, _ = carrier.join()
    port.close()
    with pytest.raises(PeerGone):
        port.send([Cancel("a", 0)])
    with pytest.raises(PeerGone):
        port.receive(until_closed=until_closed)


def test_many_threads_may_send_at_once(carrier: Carrier) -> None:
    port, name = carrier.join()

    def send(number: int) -> None:
        for _ in range(20):
            port.send([submit(f"{number}", 2000)])

    senders = [threading.Thread(target=send, args=(number,)) for number in range(8)]
    for sender in senders:
        sender.start()
    arrived = carrier.arrivals(160)
    for sender in senders:
        sender.join(PATIENCE)
    for number in range(8):
        assert arrived.count((name, submit(f"{number}", 2000))) == 20


def test_a_slow_reader_loses_nothing(carrier: Carrier) -> None:
    port, name = carrier.join()
    sent: list[Event] = [tokens(f"{number}", 5000) for number in range(100)]
    for event in sent:
        carrier.backend.send(name, [event])
    with carrier.pumped():
        assert events(port, 100) == sent


def test_what_a_slow_reader_has_not_read_survives_the_end_of_the_backend(
    carrier: Carrier,
) -> None:
    port, name = carrier.join()
    sent: list[Event] = [tokens(f"{number}", 5000) for number in range(100)]
    carrier.backend.send(name, sent)
    closing = threading.Thread(target=carrier.backend.close)
    closing.start()
    assert events(port, 100) == sent
    closing.join(PATIENCE)


def read_to_the_end(port: FrontendPort, until_closed: bool) -> str:
    with suppress(PeerGone):
        for _ in range(100):
            port.receive(until_closed=until_closed)
        return "never ended"
    return "end"
