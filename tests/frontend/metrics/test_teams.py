"""Counters by team: a bounded number of series, the same for all processes."""

from rowcast.frontend.metrics import families
from rowcast.frontend.metrics.teams import OTHERS, TeamCounters
from rowcast_metrics.memory import Memory
from rowcast_metrics.recorder import Recorder
from rowcast_metrics.totals import Totals


def teams(memory: Memory, segment: int, most: int = 2) -> TeamCounters:
    return TeamCounters(Recorder(memory.segments[segment]), memory, most)


def replies(memory: Memory) -> dict[str, float]:
    numbers = Totals(memory.segments).of(families.TEAM_REPLIES).numbers
    return {team: count for (team,), (count,) in numbers.items()}


def test_the_first_teams_of_all_processes_have_series_of_their_own() -> None:
    memory = Memory.create(2)
    one, two = teams(memory, 0), teams(memory, 1)
    for process, team in ((one, "red"), (two, "blue"), (one, "green"), (two, "red"), (one, "blue")):
        process.ended(team, 1, 2)
    assert replies(memory) == {"red": 2, "blue": 2, OTHERS: 1}


def test_they_keep_them_when_a_process_is_replaced() -> None:
    memory = Memory.create(1)
    teams(memory, 0, most=1).ended("red", 1, 2)
    later = teams(memory, 0, most=1)
    later.ended("blue", 1, 2)
    later.ended("red", 1, 2)
    assert replies(memory) == {"red": 2, OTHERS: 1}


def test_none_is_counted_if_none_may_be() -> None:
    memory = Memory.create(1)
    teams(memory, 0, most=0).ended("red", 1, 2)
    assert replies(memory) == {}


def test_a_crowd_of_teams_makes_few_series() -> None:
    memory = Memory.create(1)
    counters = teams(memory, 0)
    for number in range(1000):
        counters.ended(f"team {number}", 1, 1)
    assert len(replies(memory)) == 3
    assert replies(memory)[OTHERS] == 998
