"""A guest among streams: when it arrives, and its table for known times.

Covers `guest`, `pace`.
"""

from __future__ import annotations

import pytest

from commands.bench import cli
from commands.bench.load.outcome import Outcome
from commands.bench.load.pace import WithGuest
from commands.bench.results.guest import visit, visit_table
from scripts.load_server import LoadServer


def stream(index: int, *arrivals: float, started: float = 0.0) -> Outcome:
    seen = Outcome(index=index, due=started, started=started)
    seen.arrivals = list(arrivals)
    return seen


def test_the_guest_has_an_appointment() -> None:
    pace = WithGuest(streams=2, after=5.0)
    assert [pace.due(sent, sent, 100.0) for sent in range(3)] == [100.0, 100.0, 105.0]


def test_gaps_are_told_apart_by_the_guests_wait() -> None:
    streams = [
        stream(0, 1.0, 2.0, 3.0, 4.0, 6.0, 8.0, 9.0),
        stream(1, 1.5, 2.5, 3.5, 4.5, 6.5, 8.5, 9.5),
    ]
    seen = visit([*streams, stream(2, 8.1, 9.0, started=3.9)])
    assert seen is not None
    assert (seen.before.count, seen.before.p50) == (2, 1.0)
    assert (seen.during.count, seen.during.p50) == (3, 2.0)
    assert seen.first_piece == pytest.approx(4.2)
    assert seen.steps == 3
    assert "2.00 times as long" in visit_table(seen)


def test_a_guest_without_text_is_told() -> None:
    seen = visit([stream(0, 1.0, 2.0), stream(1, started=1.0)])
    assert seen is None
    assert "no text" in visit_table(seen)


@pytest.mark.slow
def test_a_guest_comes_to_a_server(capsys: pytest.CaptureFixture[str]) -> None:
    with LoadServer() as server:
        asked = ("--streams", "3", "--guest", "40", "--guest-after", "0.1", "--reply-tokens", "9")
        assert cli.main(["--url", server.url, *asked]) == 0
        lengths = sorted(len(str(request["text"])) for request in server.requests)
    assert lengths == [40, 64, 64, 64]
    shown = capsys.readouterr().out
    assert "4 ok, 0 failed of 4" in shown
    assert "guest's first piece" in shown


def test_a_guest_needs_streams_that_stay(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        cli.main(["--url", "http://127.0.0.1:1", "--guest", "9", "--rate", "3"])
    assert "--guest" in capsys.readouterr().err
