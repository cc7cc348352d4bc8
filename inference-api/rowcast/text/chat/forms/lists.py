"""Calls as a list of objects after a mark, or as one object: Mistral, Granite 3, Phi-4-mini.

mistral   [TOOL_CALLS] [{"name": "f", "arguments": {…}}, …]
granite   <|tool_call|>[{"name": "f", "arguments": {…}}, …]
phi       <|tool_call|>[{"name": "f", "arguments": {…}}, …]<|/tool_call|>
"""

from collections.abc import Sequence
from typing import Any, Final

from rowcast.text.chat.forms.form import (
    Form,
    Functions,
    Gate,
    Head,
    Message,
    NoHead,
    Opened,
    Tail,
    behind,
)
from rowcast.text.chat.forms.objects import SPACE, ObjectForm, no_head, object_head, place_of
from rowcast.text.chat.forms.short_ids import with_short_ids


class Listed(ObjectForm):
    """Objects in a list; a call begins with the brace of the first one."""

    __slots__ = ()

    def gate(self, opened: Opened) -> Gate:
        at = _first_brace(opened.text)
        if at is None:
            held = "".join(char if char == "[" else " " for char in opened.text)
            return Gate(held=f"{opened.opening}{held}")
        if at < 0:
            return Gate()
        bracket = "[" if "[" in opened.text[:at] else ""
        return Gate(bracket + opened.text[at:])

    def head(self, opened: Opened) -> Head | NoHead:
        text = opened.text
        at = place_of("{", text) if opened.another else _first_brace(text)
        if at is None:
            return NoHead.YET
        if at < 0:
            return NoHead.EVER
        head = object_head(text[at:])
        if head is not None:
            return Head(head.name, at + head.end)
        return no_head(text[at:])

    def tail(self, text: str) -> Tail | None:
        comma = _whole(behind(text, ("}", ",")), text, ",")
        if comma is None or comma > 0:
            return None if comma is None else Tail(comma, another=True)
        bracket = _whole(behind(text, ("}", "]")), text, "]")
        ends = ("}", "]", self.closing) if bracket else ("}", self.closing)
        end = None if bracket is None else behind(text, ends)
        return None if end is None else Tail(end)

    def one(self, functions: Functions) -> str:
        end = f" {SPACE} ({functions.mark(self.closing)})" if self.closing else ""
        return f"start: calls{end}\n{self._calls(functions)}"

    def whole(self, functions: Functions) -> str:
        start = f"start: ({functions.mark(self.opening)}) {SPACE} calls"
        end = f" {SPACE} ({functions.mark(self.closing)})" if self.closing else ""
        return f"{start}{end}\n{self._calls(functions)}"

    def _calls(self, functions: Functions) -> str:
        more = f' ({SPACE} "," {SPACE} call)*' if functions.several else ""
        calls = f'calls: call | "[" {SPACE} call{more} {SPACE} "]"'
        return f"{calls}\ncall: {functions.objects(self.arguments)}"


class MistralListed(Listed):
    """Mistral's list, whose templates take ids of nine characters."""

    __slots__ = ()

    def history(self, messages: Sequence[Message]) -> list[dict[str, Any]]:
        return with_short_ids(messages)


def _first_brace(text: str) -> int | None:
    """Return the place of the brace after an opening mark, with or without a bracket before it.

    -1: something else follows. None: more text is needed to know it.
    """
    at = place_of("{[", text)
    if at is None or at < 0 or text[at] == "{":
        return at
    inside = place_of("{", text[at + 1 :])
    return inside if inside is None or inside < 0 else at + 1 + inside


def _whole(end: int | None, text: str, last: str) -> int | None:
    """Return the place after expected words if the last of them was there, else 0."""
    return end if end is None or (end and text[end - 1] == last) else 0


MISTRAL: Final[Form] = MistralListed("mistral", ("[TOOL_CALLS]",), "[TOOL_CALLS]")
GRANITE: Final[Form] = Listed("granite", ("<|tool_call|>",), "<|tool_call|>")
PHI: Final[Form] = Listed(
    "phi", ("<|tool_call|>", "<|/tool_call|>"), "<|tool_call|>", "<|/tool_call|>"
)
