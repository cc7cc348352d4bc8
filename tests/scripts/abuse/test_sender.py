"""Delivery: how each kind of shot is sent, and how its answers are recorded.

Covers `plan`, `sender`, `shot`, `machine`.
"""

import time
from pathlib import Path

import pytest

from commands.abuse.attacks.shot import STREAM, Attack, Shot
from commands.abuse.delivery.plan import Address, Answers, Plan, answers_in, sending
from commands.abuse.delivery.sender import Sender
from scripts.abuse_server import Seen, answering


def plan(seen: Seen, seconds: float = 10.0) -> Plan:
    address = Address("127.0.0.1", seen.port, (("X-Team", "attacker"),))
    return Plan(seconds, address, Address("127.0.0.1", seen.port))


def deliver(seen: Seen, *shots: Shot, opening: Shot | None = None, seconds: float = 10) -> Answers:
    attack = Attack(kind="a", shots=shots, opening=opening)
    return Sender(plan(seen, seconds)).deliver(attack)


def test_all_copies_are_sent_and_their_answers_counted() -> None:
    with answering() as seen:
        body = b"x" * 300_000
        good = Shot(path="/good", body=body, copies=20, width=5)
        answers = deliver(seen, good, Shot(path="/nothing"))
    assert answers.counts == {"200": 20, "404": 1}
    assert answers.bodies["200"] == '{"bytes": 300000}'
    assert sorted(seen.paths) == ["/good"] * 20 + ["/nothing"]


def test_a_team_shows_who_it_is_and_a_stranger_does_not() -> None:
    with answering() as seen:
        deliver(seen, Shot(path="/good"))
        deliver(seen, Shot(path="/good", stranger=True))
    assert [headers.get("X-Team") for headers in seen.headers] == ["attacker", None]


@pytest.mark.parametrize(
    ("shot", "status"),
    [
        (Shot(path="/cut"), "200, cut"),
        (Shot(path="/silent"), "unfinished"),
        (Shot(path="/silent", leave=0.3), "left"),
        (Shot(path="/good", body=b"x", missing=1), "unfinished"),
        (Shot(path="/good", body=b"x", missing=1, hold=0.3), "left"),
        (Shot(raw=b"", hold=0.3), "left"),
        (Shot(path="/good", reads=False, leave=0.3), "left"),
    ],
)
def test_what_has_no_whole_answer_says_why(shot: Shot, status: str) -> None:
    with answering() as seen:
        answers = deliver(seen, shot, seconds=1.0)
    assert answers.counts == {status: 1}


def test_nobody_listens() -> None:
    with answering() as seen:
        pass
    assert deliver(seen, Shot(path="/good")).counts == {"Connection refused": 1}


def test_requests_on_one_connection_are_all_answered() -> None:
    with answering() as seen:
        answers = deliver(seen, Shot(path="/good", method="GET", times=50, copies=2))
    assert answers.counts == {"200": 100}


@pytest.mark.slow
def test_a_dripping_request_arrives_byte_by_byte() -> None:
    raw = b"GET /good HTTP/1.1\r\nConnection: close\r\n\r\n"
    began = time.monotonic()
    with answering() as seen:
        answers = deliver(seen, Shot(raw=raw, drip=0.005))
    assert answers.counts == {"200": 1}
    assert time.monotonic() - began >= 0.005 * (len(raw) - 1)


def test_the_opening_names_the_stream() -> None:
    with answering() as seen:
        deliver(seen, Shot(path=f"/v1/{STREAM}"), opening=Shot(path="/stream"))
    assert seen.paths == ["/stream", "/v1/5eed"]


@pytest.mark.slow
def test_a_process_of_its_own_delivers_and_leaves_no_credentials(tmp_path: Path) -> None:
    with answering() as seen:
        attack = Attack(kind="a", shots=(Shot(path="/good", copies=3),))
        with sending(attack, plan(seen), tmp_path) as sender:
            assert sender.wait(timeout=30) == 0
    assert answers_in(tmp_path).counts == {"200": 3}
    assert not any("X-Team" in each.read_text() for each in tmp_path.iterdir())


def test_a_sender_that_was_ended_has_told_nothing(tmp_path: Path) -> None:
    assert answers_in(tmp_path).counts == {}
