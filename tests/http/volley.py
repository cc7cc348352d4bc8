"""All cases against one target, a few in flight at a time, with outcomes as they arrive.

A case is sent when its outcome is wanted, and with it those that come next. So each process of
tests sends the cases of its own tests and few others, and waits for none alone.
"""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from processes import Running

from .case import HIDDEN_ID, Case
from .corpus import FAMILIES
from .target import PATIENCE, Outcome, Target

IN_FLIGHT = 16
AHEAD = 4 * IN_FLIGHT
_Shot = tuple[str, str, bool]


class Volley:
    """Sends cases to a target; `outcome` waits for one of them."""

    def __init__(self, target: Target, processes: Sequence[Running]) -> None:
        self.target = target
        self._processes = processes
        self._workers_before = self._workers()
        self._pool = ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="volley")
        self._cases: dict[_Shot, Case] = {
            (family, case.name, drip): case
            for family, cases in FAMILIES.items()
            for case in cases
            for drip in ((False, True) if case.dripped else (False,))
        }
        self._order = list(self._cases)
        self._places = {shot: place for place, shot in enumerate(self._order)}
        self._shots: dict[_Shot, Future[Outcome]] = {}

    def outcome(self, family: str, case: Case, *, drip: bool) -> Outcome:
        wanted = (family, case.name, drip)
        place = self._places[wanted]
        for shot in self._order[place : place + AHEAD]:
            if shot not in self._shots:
                case, drip = self._cases[shot], shot[2]
                self._shots[shot] = self._pool.submit(self.target.try_case, case, drip=drip)
        return self._shots[wanted].result(timeout=2 * PATIENCE)

    def close(self) -> None:
        """Wait until all have ended, successfully or not; fail if they harmed the target."""
        for shot in self._shots.values():
            shot.exception(timeout=2 * PATIENCE)
        self._pool.shutdown()
        assert self._workers() == self._workers_before, "a worker ended"
        for output in self.outputs():
            assert "Traceback" not in output
            assert f"request={HIDDEN_ID}" not in output

    def outputs(self) -> list[str]:
        return [each.output() for each in self._processes]

    def _workers(self) -> list[int]:
        return sorted(worker.pid for each in self._processes for worker in each.workers())
