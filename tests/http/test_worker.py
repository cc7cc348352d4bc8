"""What a worker does before it accepts connections."""

import gc
from collections.abc import Iterator
from types import SimpleNamespace
from typing import Any

import pytest

from rowcast_http.budget import Budget
from rowcast_http.connections import Limits
from rowcast_http.worker import RUNNING, HttpWorker, Service


class Ended(HttpWorker):
    """A worker that ends as soon as it listens."""

    def __init__(self) -> None:
        self.app = SimpleNamespace(stopping=bytes([RUNNING]))
        self.cfg = SimpleNamespace(graceful_timeout=0)
        self.sockets = [SimpleNamespace()]
        self.in_flight, self.alive = 0, False
        self.frozen = 0

    def open(self) -> Service:
        limits = Limits(connections=1)
        return Service(limits=limits, bodies=Budget(1), no_room=lambda _: b"")

    def listen(self, listener: Any) -> Any:
        self.frozen = gc.get_freeze_count()
        return SimpleNamespace(close=lambda: None, stop=lambda timeout: None)


@pytest.fixture
def thawed() -> Iterator[None]:
    before = gc.get_freeze_count()
    yield
    if not before:
        gc.unfreeze()


@pytest.mark.usefixtures("thawed")
def test_what_was_imported_is_never_searched_for_garbage_again() -> None:
    worker = Ended()
    gc.unfreeze()
    worker.run()
    assert worker.frozen > 1000
