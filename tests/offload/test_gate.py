"""The order of entering: teams in turn."""

import threading

from processes import until
from rowcast.offload.gate import Gate

PATIENCE = 20.0


def entering(gate: Gate, *teams: str) -> tuple[list[str], list[threading.Thread]]:
    """Start threads that wait to enter, in this order; return the list of those that entered."""
    entered: list[str] = []
    threads = []
    for team in teams:
        thread = threading.Thread(target=_enter, args=(gate, team, entered))
        threads.append(thread)
        thread.start()
        until(lambda: gate.waiting == len(threads), "one more that waits")
    return entered, threads


def _enter(gate: Gate, team: str, entered: list[str]) -> None:
    assert gate.enter(team, PATIENCE)
    entered.append(team)


def test_teams_take_turns_however_many_one_has_waiting() -> None:
    gate = Gate(1, each=1, waiting=9)
    assert gate.enter("a", 0)
    entered, threads = entering(gate, "a", "a", "a", "b", "c", "b")
    inside = "a"
    for count in range(1, 7):
        gate.leave(inside)
        until(lambda: len(entered) == count, "the next")  # noqa: B023  # within this round
        inside = entered[-1]
    assert entered == ["a", "b", "c", "a", "b", "a"]
    for thread in threads:
        thread.join(PATIENCE)


def test_a_team_that_has_its_share_is_passed_over() -> None:
    gate = Gate(2, each=1, waiting=9)
    assert gate.enter("a", 0)
    entered, threads = entering(gate, "a")
    assert gate.enter("b", 0)
    gate.leave("b")
    assert not entered
    gate.leave("a")
    threads[0].join(PATIENCE)
    assert entered == ["a"]


def test_nobody_passes_those_who_wait() -> None:
    gate = Gate(1, each=1, waiting=9)
    assert gate.try_enter("a")
    assert not gate.try_enter("b")
    assert not gate.enter("b", 0.01)
    assert gate.waiting == 0
    gate.leave("a")
    assert gate.try_enter("b")


def test_too_many_that_wait_are_turned_away_team_by_team() -> None:
    gate = Gate(1, each=1, waiting=1)
    assert gate.enter("a", 0)
    _, threads = entering(gate, "a")
    assert not gate.enter("a", PATIENCE)
    assert not gate.enter("b", 0.01)
    gate.leave("a")
    threads[0].join(PATIENCE)
