"""Finds stop sequences in a text that comes in pieces, and holds back what may become one.

`StopFilter.feed(piece)` releases text that can no longer be part of a stop sequence. At the first
occurrence (the one that begins earliest) it releases what stands before it and is `stopped`; the
sequence itself never leaves. With several sequences, of two that begin at the same place either
gives the same text. Where the pieces are cut makes no difference.

All sequences are looked for at once, in time linear in the text (Aho and Corasick's automaton).
`StopSequences` holds it, so that the replies of one request share it.
"""

from collections import deque
from collections.abc import Sequence
from functools import cached_property

LONGEST = 1024  # characters of one sequence


class StopSequences(tuple[str, ...]):  # noqa: SLOT001  # what is cached needs a place
    """The sequences of one request."""

    @cached_property
    def automaton(self) -> "Automaton":
        """What finds them all."""
        return Automaton(self)


class Automaton:
    """States are beginnings of sequences, by number; 0 is the empty one.

    After each character the state is the longest beginning that the text ends with.
    """

    def __init__(self, sequences: Sequence[str]) -> None:
        self._next: list[dict[str, int]] = [{}]
        self._shorter = [0]  # per state, the longest beginning that it ends with
        self.found = [0]  # per state, the length of the longest whole sequence that it ends with
        self.open = [0]  # per state, how long a beginning it ends with that may still go on
        depths = [0]
        for sequence in sequences:
            state = 0
            for char in sequence:
                if char not in self._next[state]:
                    self._next[state][char] = len(depths)
                    depths.append(depths[state] + 1)
                    self._next.append({})
                    self._shorter.append(0)
                    self.found.append(0)
                    self.open.append(0)
                state = self._next[state][char]
            self.found[state] = len(sequence)
        self._join(depths)

    def _join(self, depths: Sequence[int]) -> None:
        """Say of each state what it ends with, shorter ones first."""
        waiting = deque([0])
        while waiting:
            state = waiting.popleft()
            shorter = self._shorter[state]
            self.found[state] = max(self.found[state], self.found[shorter])
            self.open[state] = depths[state] if self._next[state] else self.open[shorter]
            for char, longer in self._next[state].items():
                self._shorter[longer] = self.after(shorter, char) if state else 0
                waiting.append(longer)

    def begins(self, text: str) -> bool:
        """Return whether any character of `text` may begin a sequence."""
        return not self._next[0].keys().isdisjoint(text)

    def after(self, state: int, char: str) -> int:
        """Return the state after one more character."""
        while char not in self._next[state]:
            if not state:
                return 0
            state = self._shorter[state]
        return self._next[state][char]


class StopFilter:
    """One reply's text on its way out."""

    def __init__(self, sequences: Sequence[str] = ()) -> None:
        shared = sequences if isinstance(sequences, StopSequences) else StopSequences(sequences)
        self._automaton = shared.automaton if shared else None
        self._state = 0
        self._held: list[str] = []
        self._length = 0  # of all that has come
        self._released = 0  # how much of it has left
        self._found: int | None = None  # where the first sequence begins that is whole
        self.stopped = False

    def feed(self, piece: str) -> str:
        """The text that may be sent now."""
        if self.stopped:
            return ""
        automaton = self._automaton
        if automaton is None or not (self._held or automaton.begins(piece)):
            self._released = self._length = self._length + len(piece)
            return piece
        self._held.append(piece)
        self._follow(piece, automaton)
        keep_from = self._length - automaton.open[self._state]
        if self._found is not None and self._found <= keep_from:
            return self._stop(self._found)
        return self._release(keep_from)

    def finish(self) -> str:
        """What was held back, at the reply's end: nothing can follow that would change it."""
        if self._found is not None:
            return self._stop(self._found)
        return self._release(self._length)

    def _follow(self, piece: str, automaton: Automaton) -> None:
        state, found = self._state, automaton.found
        for at, char in enumerate(piece, self._length + 1):
            state = automaton.after(state, char)
            if found[state] and (self._found is None or at - found[state] < self._found):
                self._found = at - found[state]
        self._state = state
        self._length += len(piece)

    def _release(self, end: int) -> str:
        """Let go of the text up to this place, and hold the rest."""
        count = end - self._released
        if not count:
            return ""
        text = "".join(self._held)
        self._held = [text[count:]] if count < len(text) else []
        self._released = end
        return text[:count]

    def _stop(self, end: int) -> str:
        released = self._release(end)
        self.stopped = True
        self._held = []
        return released
