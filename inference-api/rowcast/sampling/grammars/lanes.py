"""Threads for work of unknown length: a lane runs jobs in turn by team, and passes slow ones.

    jobs ──▶ a queue for each team, served in turn ──▶ threads

A job that exceeds the lane's patience keeps its thread, at a low priority, and another thread takes
its place in the lane; the first one ends with its job. Knows nothing of grammars.
"""

import contextlib
import os
import threading
import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable

LOW_PRIORITY = 10  # a tenth of a busy core
_STACK_LOCK = threading.Lock()  # the stack size of new threads is a setting of the whole process


class Job:
    """A job of a lane. `late` is called, under the lane's lock, if it exceeds the patience."""

    __slots__ = ("began", "done", "error", "late", "run", "started", "team")

    def __init__(
        self, team: str, run: Callable[[], None], late: Callable[[], None] = lambda: None
    ) -> None:
        self.team = team
        self.run = run
        self.late = late
        self.began = 0.0
        self.started = False
        self.done = False
        self.error: BaseException | None = None


class Turns:
    """Waiting jobs: the first of each team in turn."""

    def __init__(self) -> None:
        self._teams: OrderedDict[str, deque[Job]] = OrderedDict()

    def add(self, job: Job) -> None:
        self._teams.setdefault(job.team, deque()).append(job)

    def take(self, busy: Callable[[str], bool] = lambda _team: False) -> Job | None:
        """Return the next job of the first team that is not busy; that team becomes the last."""
        team = next((team for team in self._teams if not busy(team)), None)
        if team is None:
            return None
        jobs = self._teams.pop(team)
        job = jobs.popleft()
        if jobs:
            self._teams[team] = jobs
        return job

    def remove(self, job: Job) -> bool:
        """Remove a job; False if it is not waiting."""
        jobs = self._teams.get(job.team, deque())
        if job not in jobs:
            return False
        jobs.remove(job)
        if not jobs:
            del self._teams[job.team]
        return True


class _Worker:
    """One thread of a lane."""

    def __init__(self) -> None:
        self.thread: threading.Thread | None = None
        self.job: Job | None = None
        self.retired = False

    def slow_down(self) -> None:
        """Lower the thread's priority for good: it ends with its job."""
        self.retired = True
        if self.thread is not None and self.thread.native_id is not None:
            _lower(self.thread.native_id)


class Lane:
    """Some threads, started when there is work; if `shared`, a team has at most one of them."""

    def __init__(
        self,
        name: str,
        *,
        threads: int = 1,
        patience: float,
        stack_bytes: int,
        low: bool = False,
        shared: bool = False,
    ) -> None:
        self._name = name
        self._threads = threads
        self._patience = patience
        self._stack_bytes = stack_bytes
        self._low = low
        self._shared = shared
        lock = threading.Lock()
        self._work = threading.Condition(lock)
        self._quiet = threading.Condition(lock)
        self._turns = Turns()
        self._workers: list[_Worker] = []
        self._slow: list[_Worker] = []  # removed from the lane, but with a running job
        self._left = 0  # jobs that are neither done nor late

    def add(self, jobs: Iterable[Job]) -> None:
        """Run these jobs when their turn comes."""
        with self._work:
            for job in jobs:
                self._turns.add(job)
                self._left += 1
            while len(self._workers) < self._threads:
                self._start()
            self._work.notify(self._threads)

    def cancel(self, job: Job) -> bool:
        """Remove a job from the queue; False if it has begun."""
        with self._work:
            if not self._turns.remove(job):
                return False
            self._left -= 1
            return True

    def settle(self, seconds: float) -> None:
        """Wait until each job is done or late, but no longer than this."""
        limit = time.monotonic() + seconds
        with self._work:
            while self._left and (left := limit - time.monotonic()) > 0:
                self._pass_slow_jobs()
                if self._left:
                    self._quiet.wait(min(left, self._patience))

    def watch(self) -> None:
        """Replace the threads whose job has exceeded the patience."""
        with self._work:
            self._pass_slow_jobs()

    def _pass_slow_jobs(self) -> None:
        now = time.monotonic()
        for worker in list(self._workers):
            if worker.job is not None and now - worker.job.began > self._patience:
                self._workers.remove(worker)
                self._slow.append(worker)
                self._left -= 1
                worker.job.late()
                worker.slow_down()
                self._start()

    def _start(self) -> None:
        worker = _Worker()
        worker.thread = _thread(self._name, lambda: self._serve(worker), self._stack_bytes)
        self._workers.append(worker)

    def _serve(self, worker: _Worker) -> None:
        if self._low:
            _lower(threading.get_native_id())
        job = self._next(worker)
        while job is not None:
            try:
                job.run()
            except BaseException as error:  # noqa: BLE001  # the job's waiter raises it
                job.error = error
            job = self._next(worker)

    def _next(self, worker: _Worker) -> Job | None:
        """Note that the worker's job is done; wait for another one."""
        with self._work:
            self._note_done(worker)
            while not worker.retired:
                job = self._turns.take(self._busy)
                if job is not None:
                    job.started, job.began = True, time.monotonic()
                    worker.job = job
                    return job
                self._work.wait()
        return None

    def _note_done(self, worker: _Worker) -> None:
        job, worker.job = worker.job, None
        if job is None:
            return
        job.done = True
        if worker.retired:
            self._slow.remove(worker)
        else:
            self._left -= 1
        if not self._left:
            self._quiet.notify_all()
        if self._shared:
            self._work.notify(self._threads)  # a job of this worker's team may run now

    def _busy(self, team: str) -> bool:
        if not self._shared:
            return False
        running = [worker.job for worker in (*self._workers, *self._slow)]
        return any(job is not None and job.team == team for job in running)


def _thread(name: str, run: Callable[[], None], stack_bytes: int) -> threading.Thread:
    """Start a thread that does not keep the process alive, with a stack of this size."""
    thread = threading.Thread(target=run, name=name, daemon=True)
    with _STACK_LOCK:
        before = threading.stack_size(stack_bytes)
        try:
            thread.start()
        finally:
            threading.stack_size(before)
    return thread


def _lower(thread_id: int) -> None:
    with contextlib.suppress(OSError):  # it has just ended
        os.setpriority(os.PRIO_PROCESS, thread_id, LOW_PRIORITY)
