"""Remembers answers by what was asked: the least recently used are forgotten first."""

import hashlib
import threading
from collections import OrderedDict

from rowcast.offload.frames import Answer

MOST_BYTES = 8 << 20
MOST_ENTRIES = 1024


class Memory:
    """A bounded number of answers."""

    def __init__(self) -> None:
        self._answers: OrderedDict[bytes, Answer] = OrderedDict()
        self._bytes = 0
        self._lock = threading.Lock()

    def get(self, body: bytes) -> Answer | None:
        """Return the answer to this request, if it is known."""
        key = _key(body)
        with self._lock:
            if (answer := self._answers.get(key)) is not None:
                self._answers.move_to_end(key)
            return answer

    def keep(self, body: bytes, answer: Answer) -> None:
        """Remember an answer, unless it is large."""
        key, size = _key(body), len(answer.value)
        if size > MOST_BYTES // 16:
            return
        with self._lock:
            if key not in self._answers:
                self._answers[key] = answer
                self._bytes += size
            while self._bytes > MOST_BYTES or len(self._answers) > MOST_ENTRIES:
                _, old = self._answers.popitem(last=False)
                self._bytes -= len(old.value)


def _key(body: bytes) -> bytes:
    return hashlib.blake2b(body, digest_size=16).digest()
