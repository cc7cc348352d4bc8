"""Readings of a client while the server is disturbed; each must equal an undisturbed one.

`hold(name, read)` reads undisturbed, then with the decoder killed before the first token and after
the third part, and, with `silent=True`, while the decoder is stopped for 20 s. `read(came)` makes
one request, calls `came()` for each part, and returns everything it received.
"""

import os
import threading
import time
import urllib.request
from collections.abc import Callable

URL = os.environ["ROWCAST_URL"]
BASE = URL + "/v1"
TOKEN = os.environ["ROWCAST_TOKEN"]
CONTROL = os.environ["ROWCAST_CONTROL"]
PROMPT = "Say something long. " * 525  # some 41 steps of the decoder before the first token: 2 s
HELLO = [{"role": "user", "content": PROMPT}]
PERSON_ASKED = [{"role": "user", "content": PROMPT + "Who?"}]
FIRST = 0.2  # seconds after the request, before the first token
THIRD = 3
TRIES = 5

Read = Callable[[Callable[[], None]], str]
Timely = Callable[["Watch", float], bool]  # if a disturbance at this time was in time


class Watch:
    """Counts parts, and disturbs the server at one of them."""

    def __init__(self, at: int = 0, what: str = "") -> None:
        self.parts = 0
        self.first = float("inf")
        self._at, self._what = at, what

    def came(self) -> None:
        """Count a part."""
        self.parts += 1
        if self.parts == 1:
            self.first = time.monotonic()
        if self.parts == self._at:
            control(self._what)


def control(what: str) -> float:
    """Disturb the server's decoder; return the time at which it was done."""
    with urllib.request.urlopen(f"{CONTROL}/{what}", data=b"", timeout=60):
        return time.monotonic()


def hold(name: str, read: Read, *, silent: bool = False, middle: float = 0) -> None:
    """Read calmly, then disturbed; fail if the two differ.

    `middle`: for clients that buffer parts, the seconds until the middle of the reply.
    """
    control("settle")
    calm = read(Watch().came)
    assert calm, f"{name}: nothing was read"
    print(f"{name}: {calm[:60]!r}", flush=True)
    _same(name, "a decoder killed before the first token", calm, lambda: _killed_first(read))
    for what in ("kill", *["stand-still"] * silent):
        said = "a decoder killed in the middle" if what == "kill" else "20 s of silence"
        _same(name, said, calm, lambda what=what: _in_the_middle(read, what, middle))


def _same(name: str, what: str, calm: str, again: Callable[[], str]) -> None:
    control("settle")
    begun = time.monotonic()
    got = again()
    assert got == calm, f"{name}, {what}: {got!r}, not {calm!r}"
    print(f"  {what}: the same, in {time.monotonic() - begun:.1f} s", flush=True)


def _killed_first(read: Read) -> str:
    return _disturbed_at(FIRST, "kill", read, lambda watch, killed: killed < watch.first)


def _disturbed_at(seconds: float, what: str, read: Read, timely: Timely) -> str:
    """Return what was read. If a busy machine disturbs the decoder too late, try again."""
    for _ in range(TRIES):
        watch, done = Watch(), list[float]()
        timer = threading.Timer(seconds, _disturb, (what, done))
        timer.start()
        got = read(watch.came)
        in_time = bool(done) and timely(watch, done[0])
        timer.join()
        if in_time:
            return got
        control("settle")
    raise AssertionError(f"{TRIES} times the decoder was disturbed too late: the machine is busy")


def _disturb(what: str, done: list[float]) -> None:
    done.append(control(what))


def _in_the_middle(read: Read, what: str, middle: float) -> str:
    if middle:
        return _disturbed_at(middle, what, read, lambda *_: True)
    watch = Watch(THIRD, what)
    got = read(watch.came)
    assert watch.parts > THIRD, f"only {watch.parts} parts came"
    return got
