"""A call instead of any text: Llama 3, and templates without the signs of another form.

{"name": "f", "parameters": {…}}
"""

import json
from typing import Final

from rowcast.text.chat.forms.form import (
    PLAIN,
    Form,
    Functions,
    Gate,
    Head,
    NoHead,
    Opened,
    Place,
    Sought,
)
from rowcast.text.chat.forms.objects import ObjectForm, may_be_head, no_head, object_head

_START: Place = "start"


class Bare(ObjectForm):
    """An object with which a reply begins; a call begins where its arguments do."""

    __slots__ = ()

    def seek(self, place: Place, text: str) -> Sought:
        if place == PLAIN:
            return Sought("", text, PLAIN)
        return Sought(text, place=_START, opening="")

    def gate(self, opened: Opened) -> Gate:
        head = object_head(opened.text)
        if head is not None and head.name in opened.names:
            written = f'{{"name":{json.dumps(head.name)},"{self.arguments}":'
            return Gate(written + opened.text[head.end :])
        return Gate(held=opened.text) if head is None and may_be_head(opened.text) else Gate()

    def head(self, opened: Opened) -> Head | NoHead:
        head = object_head(opened.text)
        if head is not None and head.name in opened.names:
            return head
        return no_head(opened.text)

    def one(self, functions: Functions) -> str:
        return f"start: call \ncall: {functions.objects(self.arguments)}"

    def whole(self, functions: Functions) -> str:
        return f"start: call\ncall: {functions.objects(self.arguments)}"


BARE: Final[Form] = Bare(
    "bare",
    arguments="parameters",
    start=_START,
    quiet_places=(),
    after_call=PLAIN,
    after_stray=PLAIN,
    repeats=False,
    needs_names=True,
)
