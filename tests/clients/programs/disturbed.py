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
PROMPT = "Say something long. " * 175  # some 14 steps of the decoder before the first token
HELLO = [{"role": "user", "content": PROMPT}]
PERSON_ASKED = [{"role": "user", "content": PROMPT + "Who?"}]
FIRST = 0.2  # seconds after the request, before the first token
THIRD = 3

Read = Callable[[Callable[[], None]], str]


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
    watch = Watch()
    got, killed = _disturbed_at(FIRST, "kill", read, watch)
    assert killed < watch.first, "a part came before the decoder was killed: the machine is busy"
    return got


def _disturbed_at(seconds: float, what: str, read: Read, watch: Watch) -> tuple[str, float]:
    """Return what was read, and when the decoder was disturbed; fail if all was read before."""
    done: list[float] = []
    timer = threading.Timer(seconds, lambda: done.append(control(what)))
    timer.start()
    got = read(watch.came)
    assert done, "all was read before the decoder was disturbed"
    return got, done[0]


def _in_the_middle(read: Read, what: str, middle: float) -> str:
    if middle:
        return _disturbed_at(middle, what, read, Watch())[0]
    watch = Watch(THIRD, what)
    got = read(watch.came)
    assert watch.parts > THIRD, f"only {watch.parts} parts came"
    return got
