"""Calls between tags: Qwen, Hermes, SmolLM3, and every model whose template does not know tools.

Let me see. <tool_call>{"name": "f", "arguments": {…}}</tool_call> <tool_call>…
"""

import json
from typing import Final

from rowcast.text.chat.forms.form import Form, Functions, Gate, Head, NoHead, Opened
from rowcast.text.chat.forms.objects import SPACE, ObjectForm, no_head, object_head, place_of


class Tagged(ObjectForm):
    """One object between two tags; a call begins with its brace."""

    __slots__ = ()

    def gate(self, opened: Opened) -> Gate:
        at = place_of("{", opened.text)
        if at is None:  # white space is all alike, so there are few states
            return Gate(held=f"{opened.opening}{' ' * len(opened.text)}")
        return Gate() if at < 0 else Gate(opened.text[at:])

    def head(self, opened: Opened) -> Head | NoHead:
        if place_of("{", opened.text) == -1:
            return NoHead.EVER
        return object_head(opened.text) or no_head(opened.text)

    def one(self, functions: Functions) -> str:
        end = f"{SPACE} ({functions.mark(self.closing)})"
        return f"start: call {end}\ncall: {functions.objects(self.arguments)}"

    def whole(self, functions: Functions) -> str:
        block = f"{json.dumps(self.opening)} call {json.dumps(self.closing)}"
        start = f"start: block{'+' if functions.several else ''}\nblock: {block}"
        return f"{start}\ncall: {functions.objects(self.arguments)}"


TAGGED: Final[Form] = Tagged("tagged", ("<tool_call>",), "<tool_call>", "</tool_call>")
