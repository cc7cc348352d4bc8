"""Each process reports its state."""

from rowcast.frontend.metrics import families
from rowcast.frontend.metrics.metrics import Metrics
from rowcast.frontend.metrics.publishing import Publishing, State


def test_the_state_is_published_and_ends_with_the_process() -> None:
    metrics = Metrics.private()
    states = [State(3, 0.5, journal_works=True, journal_lag=0.1)]
    publishing = Publishing(metrics.recorder, lambda: states[-1])

    def of(name: str) -> float:
        family = next(each for each in families.FAMILIES if each.name == name)
        return metrics.totals().of(family).numbers[()][0]

    publishing.start()
    assert of("rowcast_workers") == 1
    assert of("rowcast_replies_open") == 3
    assert of("rowcast_longest_pause_seconds") == 0.5
    assert of("rowcast_journal_works") == 1
    states.append(State(0, 0.25, journal_works=False, journal_lag=7))
    publishing.publish()
    assert of("rowcast_journal_works") == 0
    assert of("rowcast_journal_lag_seconds") == 7
    publishing.close()
    assert of("rowcast_workers") == 0
