"""All cases against one target, a few in flight at a time, with outcomes as they arrive."""

from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor

from processes import Running

from .case import Case
from .corpus import FAMILIES
from .target import PATIENCE, Outcome, Target

IN_FLIGHT = 16
_Shot = tuple[str, str, bool]


class Volley:
    """Starts every case at once; `outcome` waits for one of them."""

    def __init__(self, target: Target, processes: Sequence[Running]) -> None:
        self.target = target
        self._processes = processes
        self.workers_before = self.workers()
        self._pool = ThreadPoolExecutor(IN_FLIGHT, thread_name_prefix="volley")
        self._shots: dict[_Shot, Future[Outcome]] = {
            (family, case.name, drip): self._pool.submit(target.try_case, case, drip=drip)
            for family, cases in FAMILIES.items()
            for case in cases
            for drip in ((False, True) if case.dripped else (False,))
        }

    def outcome(self, family: str, case: Case, *, drip: bool) -> Outcome:
        return self._shots[family, case.name, drip].result(timeout=2 * PATIENCE)

    def finish(self) -> None:
        """Wait until all have ended, successfully or not."""
        for shot in self._shots.values():
            shot.exception(timeout=2 * PATIENCE)

    def close(self) -> None:
        self._pool.shutdown(cancel_futures=True)

    def workers(self) -> list[int]:
        return sorted(worker.pid for each in self._processes for worker in each.workers())

    def outputs(self) -> list[str]:
        return [each.output() for each in self._processes]
