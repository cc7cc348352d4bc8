"""Processes are killed at random moments while models are loaded, swapped and unloaded."""

from __future__ import annotations

import contextlib
import random
import signal
from collections import Counter
from collections.abc import Sequence
from time import monotonic

import psutil

from commands.chaos.claim import Claim, Finding, Sizes
from commands.chaos.context import Context
from commands.chaos.models import reports
from commands.chaos.models.builds import (
    DRAFT,
    MODELS,
    NEW,
    OLD,
    SMALL,
    STORY,
    RightAnswers,
    right_answers_of_both,
)
from commands.chaos.models.model_file import ModelFile
from commands.chaos.models.tally import Tally
from commands.chaos.traffic.crowd import Crowd, Reading
from commands.chaos.traffic.flow import PATIENCE, answers, is_refused
from commands.chaos.traffic.request import Request
from commands.chaos.traffic.resumption import Cut
from local.processes import command_line
from local.server import Server

WORKERS = 2
STREAMS = 12
LONGEST = 1.2  # the maximum time from a change to the kill, as a multiple of a load's
VICTIMS = "decoder", "launcher", "supervisor", "worker", "server", "fork server"
DECODER, LAUNCHER, SUPERVISOR, WORKER, SERVER, FORK_SERVER = VICTIMS
LOADING, SWAPPING, UNLOADING = CHANGES = "loading", "swapping", "unloading"
CACHE = "torchinductor_"  # torch's folder, one for all programs of a user
CUTTING = {WORKER, SERVER}  # they hold the clients' connections


def _run(context: Context, dice: random.Random, size: int) -> Finding:
    found = Finding()
    right = right_answers_of_both(context, dice, 60, 160)
    file = ModelFile(context.folder / "models.json", {STORY: OLD.entry, SMALL: DRAFT.lazy()})
    journal = context.folder / "journal.db"
    turn = len(VICTIMS)  # in which each is killed once; in the next, during the next change
    rounds = [(CHANGES[(at + at // turn) % 3], VICTIMS[at % turn]) for at in range(size)]
    with context.server(MODELS=file.path, WORKERS=WORKERS, JOURNAL=journal) as server:
        kills = _Kills(server, file, right, dice)
        for number, (change, victim) in enumerate(rounds, 1):
            kills.run(change, victim)
            context.progress(f"{number} of {size} kills")
        found.faults += [*kills.faults, *kills.tally.faults, *_left_behind(server)]
    killed = ", ".join(f"{count} of a {name}" for name, count in sorted(kills.killed.items()))
    found.figures.append(
        f"{size} kills ({killed}); {kills.cut} streams cut and resumed, {kills.refused} requests "
        f"refused with Retry-After; {kills.tally.summary}"
    )
    found.expect(kills.cut or size < len(VICTIMS), "no stream was cut: nothing was tested")
    return found


class _Kills:
    """A server whose models change while its processes are killed."""

    def __init__(
        self, server: Server, file: ModelFile, right: RightAnswers, dice: random.Random
    ) -> None:
        self.tally = Tally(right)
        self.killed = Counter[str]()
        self.cut = self.refused = 0
        self.faults: list[str] = []
        self._server = server
        self._file = file
        self._requests = right.requests_by_model()
        self._dice = dice
        self._drawn = self._swaps = 0
        self._longest = LONGEST * reports.models_of(server)[STORY].load_seconds

    def run(self, change: str, victim: str) -> None:
        """Begin streams and a change, kill, and read everything to its end."""
        if change == LOADING:
            self._unload()  # so that the streams make it load again
        with contextlib.closing(Crowd(self._server.port)) as crowd:
            readings = [crowd.begin(self._draw(change)) for _ in range(STREAMS)]
            self._begin(change, crowd)
            limit = monotonic() + self._dice.uniform(0, self._longest)
            while (left := limit - monotonic()) > 0:
                ended = [each for each in crowd.turn(left) if each in readings]
                readings += [crowd.begin(self._draw(change)) for _ in ended]
            self._kill(victim)
            crowd.drain(PATIENCE)
        self._judge(readings, victim, change)
        self._server.wait_until(self._is_settled, "all processes")

    def _draw(self, change: str) -> Request:
        """Return a request to one of the models; while one is unloaded, mostly to the other."""
        self._drawn += 1
        of_small = 4 if change == UNLOADING else 2
        name = STORY if self._drawn % of_small else SMALL
        request = self._dice.choice(self._requests[name])
        return request.keyed(f"{self._drawn}") if request.form == "json" else request

    def _begin(self, change: str, crowd: Crowd) -> None:
        """Begin a change; loading was begun by the requests."""
        if change == SWAPPING:
            self._swaps += 1
            self._file.set(STORY, (OLD, NEW)[self._swaps % 2].entry)
        if change == UNLOADING:
            crowd.begin(reports.unload(SMALL))

    def _unload(self) -> None:
        answers(self._server.port, [reports.unload(SMALL)])
        self._server.wait_until(
            lambda: reports.models_of(self._server)[SMALL].state == "unloaded", "its unloading"
        )

    def _kill(self, victim: str) -> None:
        server = self._server
        if victim == SERVER:
            server.kill()
            server.start()
            self.killed[victim] += 1
            return
        present = {
            DECODER: server.backends,
            LAUNCHER: server.launchers,
            SUPERVISOR: server.supervisors,
            FORK_SERVER: server.fork_servers,
            WORKER: server.workers,
        }[victim]
        server.wait_until(lambda: bool(present()), f"a {victim}")
        with contextlib.suppress(psutil.NoSuchProcess):  # it has just ended by itself
            self._dice.choice(present()).kill()
            self.killed[victim] += 1

    def _judge(self, readings: Sequence[Reading], victim: str, change: str) -> None:
        """Judge the whole answers; resume those that were cut, and judge them too."""
        cuts = []
        for reading in readings:
            if is_refused(reading):
                self.refused += 1
            elif reading.whole or victim not in CUTTING:
                self.tally.take(reading)
            else:
                cuts.append(Cut.of(reading))
        self.cut += len(cuts)
        known = len(self.tally.faults)
        self.tally.resume(self._server.port, cuts)
        if len(self.tally.faults) > known:
            self.faults.append(f"a {victim} was killed during {change}")

    def _is_settled(self) -> bool:
        """True if all expected processes run, and no others."""
        server = self._server
        return bool(
            server.ready()
            and len(server.workers()) == WORKERS
            and not server.strays()
            and len(server.backends()) == len(server.launchers())
        )


def _left_behind(server: Server) -> list[str]:
    """Stop the server; return the processes and files that remain."""
    server.send(signal.SIGTERM)
    status = server.status()
    _, alive = psutil.wait_procs(server.strays(), timeout=10)
    left = [f"process {command_line(each) or each.pid}" for each in alive]
    ended = [] if status == 0 else [f"it ended with status {status}"]
    files = [each for each in server.leftovers() if not each.startswith(CACHE)]
    return [*ended, *(f"left behind: {each}" for each in [*left, *files])]


CLAIM = Claim(
    "kills-and-models",
    "A decoder, a launcher, the fork server, the supervisor, a worker or the whole server is "
    "killed at a random moment while models are loaded, swapped and unloaded: no stream lost, "
    "doubled or altered, no process and no file left behind",
    Sizes(test=3, ci=3, full=200),
    "kills",
    _run,
    MODELS,
)
