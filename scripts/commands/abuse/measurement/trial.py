"""One attack on a stand, from calm to calm: the witness's measurements, and the server's losses.

In: a stand, its witness, an attack. Out: a `Result`; its `harms` are the bounds that it exceeded.
The attack is sent by a separate process, which is ended when its time is over.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import time
from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from time import monotonic

from commands.abuse.attacks.shot import COMPLETIONS, Attack
from commands.abuse.delivery.plan import Address, Plan, answers_in, sending
from commands.abuse.measurement.witness import Figures, Witness
from commands.abuse.target.roles import HELPER, ended
from commands.abuse.target.stand import ATTACKER, WITNESS, Stand

STALL_SECONDS, STALL_TIMES = 0.25, 5.0
MEMORY_BYTES = 50 << 20
LOOK_SECONDS = 0.5
SETTLE_SECONDS, REST_SECONDS = 30.0, 2.0
ANSWER_TIMEOUT = 15.0
FAULTS = ("500", "502", "504")


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """The effects of an attack."""

    kind: str
    described: str
    calm: Figures
    seen: Figures
    before: int  # bytes of memory
    peak: int
    after: int
    died: tuple[str, ...]
    helpers: int  # ended helpers; others replace them
    stream: str  # the state of a finished stream of the other team
    settled: bool  # True if the server had finished its work soon afterwards
    answers: Mapping[str, int]
    bodies: Mapping[str, str] = field(repr=False)
    seconds: float
    file: str = ""

    @property
    def harms(self) -> list[str]:
        """The bounds that it exceeded."""
        calm, seen = self.calm, self.seen
        found = []
        if seen.stall > max(STALL_SECONDS, STALL_TIMES * calm.stall):
            found.append(f"stalled for {seen.stall:.2f} s, calm {calm.stall * 1000:.0f} ms")
        if seen.cuts:
            found.append(f"{seen.cuts} streams of the witness cut")
        if self.died:
            found.append(f"died: {', '.join(self.died)}")
        if self.after - self.before > MEMORY_BYTES:
            found.append(f"{(self.after - self.before) >> 20} MiB not released")
        if self.stream != "intact":
            found.append(f"a stream of the other team: {self.stream}")
        found += [f"{count} x {status}" for status, count in self.answers.items() if _fault(status)]
        return found

    @property
    def as_dict(self) -> dict[str, object]:
        """The result for JSON."""
        return {**asdict(self), "harms": self.harms}


def _fault(status: str) -> bool:
    return status.startswith(FAULTS)


@dataclass(slots=True)
class Trial:
    """A stand and its witness, and a folder for files."""

    stand: Stand
    witness: Witness
    folder: Path
    front: bool = False
    calm_seconds: float = 5.0
    _calm: Figures | None = None

    def run(self, attack: Attack, seconds: float) -> Result:
        """Send an attack. `seconds`: the time limit for it and its consequences."""
        calm = self._calm = self.witness.calm(self.calm_seconds).worse(self._calm)
        stream = self._finished_stream()
        before, processes = self.stand.memory(), self.stand.processes()
        began, peak = monotonic(), before
        team = self.stand.address_of(ATTACKER, front=self.front)
        with sending(attack, Plan(seconds, team, self.stand.stranger()), self.folder) as sender:
            while sender.poll() is None and monotonic() < began + seconds + 5:
                time.sleep(LOOK_SECONDS)
                peak = max(peak, self.stand.memory())
        settled = self._settle(min(began + seconds, monotonic() + SETTLE_SECONDS))
        seen = self.witness.between(began, monotonic())
        gone = ended(processes, self.stand.processes())
        answers = answers_in(self.folder)
        return Result(
            kind=attack.kind,
            described=attack.described,
            calm=calm,
            seen=seen,
            before=before,
            peak=peak,
            after=self.stand.memory(),
            died=tuple(name for name in gone if name != HELPER),
            helpers=Counter(gone)[HELPER],
            stream=self._stream_state(stream),
            settled=settled,
            answers=dict(answers.counts),
            bodies=answers.bodies,
            seconds=monotonic() - began,
        )

    def _settle(self, limit: float) -> bool:
        while not self.stand.quiet():
            if monotonic() > limit:
                return False
            time.sleep(LOOK_SECONDS)
        time.sleep(REST_SECONDS)
        return True

    def _address(self, team: str) -> Address:
        return self.stand.address_of(team, front=self.front)

    def _finished_stream(self) -> str:
        """Return the id of a finished stream of the other team."""
        body = {"model": self.stand.facts().model, "prompt": "Once", "max_tokens": 2}
        status, stream = _request(self._address(WITNESS), "POST", COMPLETIONS, json.dumps(body))
        return stream if status == 200 else ""

    def _stream_state(self, stream: str) -> str:
        if not stream:
            return "intact"  # this server keeps none
        for _ in range(3):
            status, _ = _request(self._address(WITNESS), "GET", f"/v1/streams/{stream}")
            if status == 200:
                return "intact"
            time.sleep(1.0)
        return f"lost ({status or 'no answer'})"


def _request(address: Address, method: str, path: str, body: str | None = None) -> tuple[int, str]:
    """Return the status and the stream's id."""
    connection = http.client.HTTPConnection(address.host, address.port, timeout=ANSWER_TIMEOUT)
    with contextlib.closing(connection), contextlib.suppress(OSError, http.client.HTTPException):
        connection.request(method, path, body, {"Connection": "close", **dict(address.identity)})
        response = connection.getresponse()
        response.read()
        return response.status, response.headers.get("X-Stream-ID", "")
    return 0, ""
