"""A team sends what another has sent: no computed token is saved, and no time reveals it.

For each text, in a random order: the same text from a stranger, a new text from the stranger, and
the next turn of its owner. AUC is the probability that the stranger's first token of a known text
comes sooner than that of a new one: 0.5 if they cannot be distinguished.
"""

from __future__ import annotations

import random
from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import sqrt
from statistics import median

from commands.chaos.claim import Claim, Finding, Sizes
from commands.chaos.context import Context
from commands.chaos.traffic.content import cached
from commands.chaos.traffic.crowd import Reading
from commands.chaos.traffic.flow import answers, description
from commands.chaos.traffic.kinds import COMPLETIONS, MODEL
from commands.chaos.traffic.request import Request

SECRET = "shared-by-the-proxy-that-this-program-plays"  # noqa: S105
TOLERANCE, ERRORS = 0.05, 4  # of an AUC; in standard errors, if that is more
STORY = ("the", "old", "dog", "saw", "a", "red", "ball", "and", "ran", "to", "it", "with", "Ada")
WORDS, LEAST = 100, 64  # of a text; tokens that its owner must save
KINDS = KNOWN, NEW, OWN = "known", "new", "own"


@dataclass(slots=True)
class _Results:
    """Of each kind: seconds to the first token, and cached tokens."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    saved: dict[str, list[int]] = field(default_factory=lambda: {kind: [] for kind in KINDS})
    faults: list[str] = field(default_factory=list)

    def take(self, kind: str, reading: Reading) -> None:
        if not reading.whole:
            self.faults.append(description(reading))
            return
        self.seconds[kind].append(reading.arrivals[0] - reading.began)
        self.saved[kind] += cached("events", bytes(reading.body))


def auc(sooner: Sequence[float], later: Sequence[float]) -> float:
    """Return the probability that one of `sooner` is less than one of `later`; ties are half."""
    ordered = sorted(later)
    above = sum(
        2 * len(ordered) - bisect_left(ordered, each) - bisect_right(ordered, each)
        for each in sooner
    )
    return above / (2 * len(sooner) * len(later))


def _run(context: Context, dice: random.Random, size: int) -> Finding:
    found, results = Finding(), _Results()
    with context.server(step=0, PROXY_SECRET=SECRET) as server:
        for number in range(size):
            _one_text(server.port, dice, results)
            context.progress(f"{number + 1} of {size} texts")
    found.faults += results.faults
    seconds, saved = results.seconds, results.saved
    strangers = sum(saved[KNOWN] + saved[NEW])  # the tokens that they have saved
    found.expect(not strangers, f"strangers saved {strangers} tokens")
    found.expect(min(saved[OWN], default=0) >= LEAST, "the owner saved nothing: nothing was tested")
    if results.faults:
        return found
    strangers_auc = auc(seconds[KNOWN], seconds[NEW])
    tolerance = max(TOLERANCE, ERRORS * _error(size))
    found.want(
        abs(strangers_auc - 0.5) <= tolerance,
        f"AUC {strangers_auc:.3f} is not 0.5 ± {tolerance:.2f}",
    )
    own = auc(seconds[OWN], seconds[NEW])
    found.figures += [
        f"{size} texts; strangers saved {strangers} tokens, AUC {strangers_auc:.3f}",
        f"owners saved {median(saved[OWN]):.0f} tokens of each, AUC {own:.3f}",
        f"first token p50 {_median_ms(seconds[OWN])}, strangers' {_median_ms(seconds[KNOWN])}",
    ]
    return found


def _one_text(port: int, dice: random.Random, results: _Results) -> None:
    known, new = _text(dice), _text(dice)
    (first,) = answers(port, [_request("owner", known)], 1)
    if not first.whole:
        results.faults.append(description(first))
        return
    sent = [
        (KNOWN, _request("stranger", known)),
        (NEW, _request("stranger", new)),
        (OWN, _request("owner", known + " " + _text(dice)[:40])),
    ]
    dice.shuffle(sent)
    for kind, request in sent:
        (reading,) = answers(port, [request], 1)
        results.take(kind, reading)


def _request(team: str, text: str) -> Request:
    body: dict[str, object] = {"model": MODEL, "prompt": text, "max_tokens": 2, "seed": 1}
    body |= {"stream": True, "ignore_eos": True, "stream_options": {"include_usage": True}}
    request = Request.of("completion", "events", COMPLETIONS, body)
    return request.with_headers({"X-Rowcast-Proxy-Secret": SECRET, "X-Rowcast-Team": team})


def _text(dice: random.Random) -> str:
    """Return a text that begins like no other."""
    return " ".join([f"{dice.randrange(10**9)}", *dice.choices(STORY, k=WORDS)])


def _median_ms(seconds: Sequence[float]) -> str:
    return f"{median(seconds) * 1000:.1f} ms"


def _error(count: int) -> float:
    """Return the standard error of an AUC of two equal distributions."""
    return sqrt((2 * count + 1) / 12) / count


CLAIM = Claim(
    "prefixes",
    "What a team has sent, another sends: no computed token is saved, and the time to the first "
    "token shows nothing (AUC 0.5 ± 0.05); the team itself saves it",
    Sizes(test=20, ci=100, full=2000),
    "texts",
    _run,
)
