"""The statuses of a task, in the words of two systems.

    phase          `status`       `state`
    queued         processing     PENDING
    running        processing     STARTED
    finished       finished       SUCCESS
    failed         failed         FAILURE
    cancelled      cancelled      REVOKED

`status` has the words of the service with tasks, `state` those of Celery, on which it was built. If
a client polls for one of Celery's words, `status` has Celery's words, too.
"""

from collections.abc import Mapping
from dataclasses import dataclass

from rowcast.errors import InvalidField
from rowcast.journal.background.record import Phase

STATUSES: Mapping[Phase, str] = {
    "queued": "processing",
    "running": "processing",
    "finished": "finished",
    "failed": "failed",
    "cancelled": "cancelled",
}
STATES: Mapping[Phase, str] = {
    "queued": "PENDING",
    "running": "STARTED",
    "finished": "SUCCESS",
    "failed": "FAILURE",
    "cancelled": "REVOKED",
}


@dataclass(frozen=True, slots=True)
class Target:
    """What a client waits for, and the words that it expects as `status`."""

    phases: frozenset[Phase]
    words: Mapping[Phase, str]


FINISHED = Target(frozenset({"finished"}), STATUSES)


def target_of(word: str) -> Target:
    """Return the target of a status that a client waits for."""
    for words in (STATES, STATUSES):
        if phases := frozenset(phase for phase, each in words.items() if each == word):
            return Target(phases, words)
    known = ", ".join(dict.fromkeys((*STATES.values(), *STATUSES.values())))
    raise InvalidField("target_status", f"is {word[:40]!r}; send one of {known}")
