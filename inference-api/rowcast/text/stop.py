"""Finds stop sequences in text that arrives in pieces, and holds back text that may become one.

`StopFilter.feed(piece)` releases text that can no longer be part of a stop sequence. At the first
occurrence (the one that begins earliest) it releases the text before it and is `stopped`; the
sequence itself is never released; `found` is then what occurred. If two sequences begin at the same
place, either gives the same text, and `found` is the shorter one. The result does not depend on
where the pieces are cut.

All sequences are searched at once, in time linear in the text (Aho-Corasick automaton).
`StopSequences` holds it, so that the replies of one request share it.
"""

from collections import deque
from collections.abc import Sequence
from functools import cached_property

LONGEST = 1024  # characters per sequence


class StopSequences(tuple[str, ...]):  # noqa: SLOT001  # the cache needs a place
    """The stop sequences of one request."""

    @cached_property
    def automaton(self) -> "Automaton":
        """The automaton that finds all of them."""
        return Automaton(self)


class Automaton:
    """An Aho-Corasick automaton. States are prefixes of sequences, by number; 0 is the empty one.

    After each character, the state is the longest prefix that the text ends with.
    """

    def __init__(self, sequences: Sequence[str]) -> None:
        self._next: list[dict[str, int]] = [{}]
        self._shorter = [0]  # per state, the longest prefix that it ends with
        self.found = [0]  # per state, the length of the longest complete sequence that it ends with
        self.open = [0]  # per state, the length of the longest prefix at its end that may continue
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
        """Compute for each state what it ends with, shorter ones first."""
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
    """Filters one reply's text."""

    def __init__(self, sequences: Sequence[str] = ()) -> None:
        shared = sequences if isinstance(sequences, StopSequences) else StopSequences(sequences)
        self._automaton = shared.automaton if shared else None
        self._state = 0
        self._held: list[str] = []
        self._length = 0  # of all text received
        self._released = 0  # how much of it was released
        self._found: int | None = None  # where the first complete sequence begins
        self._found_length = 0
        self.found = ""  # the sequence that stopped the text
        self.stopped = False

    def feed(self, piece: str) -> str:
        """Return the text that may be sent now."""
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
        """Return the text held back until the end of the reply: nothing can follow it now."""
        if self.stopped:
            return ""
        if self._found is not None:
            return self._stop(self._found)
        return self._release(self._length)

    def _follow(self, piece: str, automaton: Automaton) -> None:
        state, found = self._state, automaton.found
        for at, char in enumerate(piece, self._length + 1):
            state = automaton.after(state, char)
            if found[state] and (self._found is None or at - found[state] < self._found):
                self._found, self._found_length = at - found[state], found[state]
        self._state = state
        self._length += len(piece)

    def _release(self, end: int) -> str:
        """Release the text up to this place, and hold the rest."""
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
        self.found = "".join(self._held)[: self._found_length]
        self._held = []
        return released
