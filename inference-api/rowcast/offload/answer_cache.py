"""Caches answers by request, separately for each team, so that timing reveals nothing of others.

The least recently used are dropped first.
"""

import hashlib
import threading
from collections import OrderedDict

from rowcast.offload.frames import Answer

MOST_BYTES = 8 << 20
MOST_ENTRIES = 1024


class AnswerCache:
    """A bounded number of answers."""

    def __init__(self) -> None:
        self._answers: OrderedDict[bytes, Answer] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, team: str, body: bytes) -> Answer | None:
        """Return the cached answer to this request of a team, if any."""
        key = _key(team, body)
        with self._lock:
            if (answer := self._answers.get(key)) is not None:
                self._answers.move_to_end(key)
            return answer

    def add(self, team: str, body: bytes, answer: Answer) -> None:
        """Cache an answer, unless it is large."""
        key, size = _key(team, body), len(answer.value)
        if size > MOST_BYTES // 16:
            return
        with self._lock:
            if key not in self._answers:
                self._answers[key] = answer
                self._bytes += size
            while self._bytes > MOST_BYTES or len(self._answers) > MOST_ENTRIES:
                _, old = self._answers.popitem(last=False)
                self._bytes -= len(old.value)


def _key(team: str, body: bytes) -> bytes:
    named = hashlib.blake2b(team.encode(), digest_size=16).digest()
    return hashlib.blake2b(body, key=named, digest_size=16).digest()
