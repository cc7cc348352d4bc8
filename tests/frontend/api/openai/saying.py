"""An engine that replies with a given text, one byte per token, then as the scripted engine does.

Under a grammar each byte must be allowed: a text that breaks the rule fails the test, unless the
engine `errs`. Then it draws another token there, and goes on with the text behind it.
"""

from collections.abc import Sequence

from msgspec.structs import replace

from backend.driven import RecordedEngine
from rowcast.engine.engine import Drawn
from rowcast.scripted_vocabulary import END


class SayingEngine(RecordedEngine):
    """Replies with `text` first; with `ends`, with nothing else."""

    def __init__(self, text: str, *, ends: bool = True, errs: bool = False, **sized: int) -> None:
        super().__init__(**sized)
        self.errs = errs
        self.says(text, ends=ends)

    def says(self, text: str, *, ends: bool = True) -> None:
        """Set the text of the replies from now on."""
        self._text: Sequence[int] = [*text.encode(), *([END] if ends else [])]

    def _draw(self, number: int, masked: Sequence[int]) -> Drawn:
        row = self._rows[number]
        at = row.fed - row.seating.prompt_length
        free = self._grammars.free(number)
        if at >= len(self._text) or not (free or number in masked):
            return super()._draw(number, masked)
        token = self._text[at]
        drawn = replace(row.draw(number), tokens=(token,))
        if free:
            return self._followed(number, drawn)
        mask = self._grammars.allowed(number)
        if self.errs and not _allows(mask, token):
            return super()._draw(number, masked)
        assert _allows(mask, token), (bytes(self._text[: at + 1]), self._grammars.problem(number))
        return self._followed(number, drawn)


def _allows(mask: bytes, token: int) -> bool:
    return bool(mask[token >> 3] >> (token & 7) & 1)
