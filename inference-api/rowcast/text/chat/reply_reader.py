"""Splits a reply's text into its parts: reasoning, then text and tool calls.

Joins the two readers that a request may need: forms of calls may have more reasoning between calls
and text. The joined parts do not depend on where the text was cut.
"""

from rowcast.text.chat.parts import Part, ReasoningPart, TextPart
from rowcast.text.chat.reasoning import ReasoningReader, Thinking
from rowcast.text.chat.tool_calls import ToolReader


class ReplyReader:
    """One reply on its way to the client."""

    def __init__(self, thinking: Thinking | None, calls: ToolReader | None) -> None:
        self._reasoning = ReasoningReader(thinking) if thinking else None
        self._calls = calls
        self.reasoning_tokens = 0  # of the reply, so far

    @property
    def called(self) -> bool:
        """True if there are calls, and each is complete."""
        return self._calls is not None and self._calls.calls > 0 and not self._calls.unfinished

    def feed(self, text: str, tokens: int) -> list[Part]:
        """Return the parts that this text adds; with it, the reply has `tokens` tokens."""
        before = self._thinks
        thought, rest = self._reasoning.feed(text) if self._reasoning else ("", text)
        parts = self._parts(thought, rest)
        if before or self._thinks:
            self.reasoning_tokens = tokens
        return parts

    @property
    def _thinks(self) -> bool:
        """True if the next text is reasoning."""
        readers = (self._reasoning, self._calls)
        return any(reader is not None and reader.thinking for reader in readers)

    def finish(self) -> list[Part]:
        """Return the parts held back until the end of the reply."""
        held = self._parts(*self._reasoning.finish()) if self._reasoning else []
        return [*held, *(self._calls.finish() if self._calls else ())]

    def _parts(self, thought: str, text: str) -> list[Part]:
        parts: list[Part] = [ReasoningPart(thought)] if thought else []
        if self._calls is not None:
            return [*parts, *(self._calls.feed(text) if text else ())]
        return [*parts, TextPart(text)] if text else parts
