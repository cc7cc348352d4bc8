"""An engine that replies with a given text, one byte per token, then as the scripted engine does.

Under a grammar each byte must be allowed: a text that breaks the rule fails the test.
"""

from collections.abc import Sequence
from dataclasses import replace

from backend.driven import RecordedEngine
from rowcast.engine.engine import Drawn
from rowcast.engine.grammar_check import follow
from rowcast.scripted_vocabulary import END


class SayingEngine(RecordedEngine):
    """Replies with `text` first; with `ends`, with nothing else."""

    def __init__(self, text: str, *, ends: bool = True, **sized: int) -> None:
        super().__init__(**sized)
        self.says(text, ends=ends)

    def says(self, text: str, *, ends: bool = True) -> None:
        """Set the text of the replies from now on."""
        self._text: Sequence[int] = [*text.encode(), *([END] if ends else [])]

    def _draw(self, number: int, masked: Sequence[int]) -> Drawn:
        row = self._rows[number]
        at = row.fed - row.seating.prompt_length
        grammar = bool(row.seating.params.grammar)
        if at >= len(self._text) or (grammar and number not in masked):
            return super()._draw(number, masked)
        token = self._text[at]
        drawn = replace(row.draw(number), tokens=(token,))
        if not grammar:
            return drawn
        mask = self._grammars.allowed(number)
        assert mask[token >> 3] >> (token & 7) & 1, bytes(self._text[: at + 1])
        return follow(self._grammars, drawn)
