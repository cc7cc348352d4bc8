"""A toy form of calls, in one file: `CALL get({…})`."""

import json
import re
from typing import Final

from rowcast.text.chat.forms.form import Form, Functions, Gate, Head, NoHead, Opened

_HEAD = re.compile(r" *(?P<name>\w{1,64})\((?=\{)")


class Toy(Form):
    """A name and an object in parentheses."""

    __slots__ = ()

    def gate(self, opened: Opened) -> Gate:
        return Gate(f"{self.opening}{opened.text}")

    def head(self, opened: Opened) -> Head | NoHead:
        found = _HEAD.match(opened.text)
        if found is not None:
            return Head(found["name"], found.end())
        begins = re.fullmatch(r" *\w*\(?", opened.text) and len(opened.text) <= 64
        return NoHead.YET if begins else NoHead.EVER

    def one(self, functions: Functions) -> str:
        return f"start: call\n{self._call(functions)}"

    def whole(self, functions: Functions) -> str:
        return f"start: call{'+' if functions.several else ''}\n{self._call(functions)}"

    def _call(self, functions: Functions) -> str:
        each = functions.each()
        names = " | ".join(f"{json.dumps(f'{name}(')} a{at}" for at, (name, _) in enumerate(each))
        arguments = "\n".join(f"a{at}: {written}" for at, (_, written) in enumerate(each))
        opening, closing = functions.mark(self.opening), functions.mark(self.closing)
        return f'call: ({opening}) " "? ({names}) ({closing})\n{arguments}'


TOY: Final[Form] = Toy("toy", ("CALL name",), "CALL", ")", last_character="L")
