"""Finds stop sequences in a text that comes in pieces, and holds back what may become one.

`StopFilter.feed(piece)` releases text that can no longer be part of a stop sequence. At the first
occurrence (the one that begins earliest) it releases what stands before it and is `stopped`; the
sequence itself never leaves. With several sequences, of two that begin at the same place either
gives the same text. Where the pieces are cut makes no difference.
"""

from collections.abc import Sequence


class StopFilter:
    """One reply's text on its way out."""

    def __init__(self, sequences: Sequence[str] = ()) -> None:
        self._sequences = tuple(sequences)
        self._held = ""
        self.stopped = False

    def feed(self, piece: str) -> str:
        """The text that may be sent now."""
        if self.stopped:
            return ""
        if not self._sequences:
            return piece
        text = self._held + piece
        keep_from = self._hold_from(text)
        at = self._found_at(text)
        if at <= keep_from and at < len(text):
            return self._stop(text[:at])
        self._held = text[keep_from:]
        return text[:keep_from]

    def finish(self) -> str:
        """What was held back, at the reply's end: nothing can follow that would change it."""
        held, self._held = self._held, ""
        at = self._found_at(held)
        return self._stop(held[:at]) if at < len(held) else held

    def _stop(self, released: str) -> str:
        self.stopped = True
        self._held = ""
        return released

    def _found_at(self, text: str) -> int:
        """Where the first sequence begins that is whole; the text's length when none is."""
        places = (text.find(sequence) for sequence in self._sequences)
        return min((at for at in places if at >= 0), default=len(text))

    def _hold_from(self, text: str) -> int:
        """Where the longest end of `text` begins that a sequence could begin with."""
        return min((_overlap_at(text, sequence) for sequence in self._sequences), default=len(text))


def _overlap_at(text: str, sequence: str) -> int:
    for at in range(max(0, len(text) - len(sequence) + 1), len(text)):
        if sequence.startswith(text[at:]):
            return at
    return len(text)
