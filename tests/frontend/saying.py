"""An engine that says what a test wants, a byte a token, and then goes on as the scripted one.

Under a grammar each byte must be allowed: a text that breaks its rule fails the test that sent it.
"""

from collections.abc import Sequence
from dataclasses import replace

from backend.driven import RecordedEngine
from rowcast.engine.engine import Drawn, Feed
from rowcast.engine.following import follow
from rowcast.engine.scripted_engine import _Row
from rowcast.scripted_vocabulary import END


class SayingEngine(RecordedEngine):
    """Says `text` first; `ends`: and nothing else."""

    def __init__(self, text: str, *, ends: bool = True, **sized: int) -> None:
        super().__init__(**sized)
        self.says(text, ends=ends)

    def says(self, text: str, *, ends: bool = True) -> None:
        """What it says from now on."""
        self._text: Sequence[int] = [*text.encode(), *([END] if ends else [])]

    def _draw(self, feed: Feed, row: _Row) -> Drawn:
        at = row.fed - row.seating.prompt_length
        if at >= len(self._text):
            return super()._draw(feed, row)
        token = self._text[at]
        drawn = replace(row.draw(feed.row), tokens=(token,))
        if not row.seating.params.grammar:
            return drawn
        self._grammars.prepare([feed.row])
        self._grammars.finish()
        mask = self._grammars.allowed(feed.row)
        assert mask[token >> 3] >> (token & 7) & 1, bytes(self._text[: at + 1])
        return follow(self._grammars, drawn)
