"""Calls as a name and arguments between marks: Mistral, from version 11 of its tokenizers on.

    Let me see.[TOOL_CALLS]f[ARGS]{…}[TOOL_CALLS]g[ARGS]{…}

Version 11 writes an id of the call before its arguments, `[CALL_ID]` and nine characters; it is
read, and replaced by our own. Where the mark is a token, a call begins with it. Where it is spelt
in letters, a text may be about it: then a call begins with a sent tool's name and what follows it.
"""

import json
import re
from collections.abc import Collection, Sequence
from typing import Any, Final

from rowcast.text.chat.forms.form import Form, Functions, Gate, Head, Message, NoHead, Opened
from rowcast.text.chat.forms.short_ids import with_short_ids

_ARGS: Final = "[ARGS]"
_CALL_ID: Final = "[CALL_ID]"
_ID = re.compile(r"\[CALL_ID\]\s*[A-Za-z0-9_-]*\s*")
_HEAD = re.compile(
    rf"\s*(?P<name>[^\s\[{{]+)\s*(?:{_ID.pattern})?(?:{re.escape(_ARGS)})?\s*(?=\{{)"
)
_LIMIT: Final = 500  # characters within which a call must give its name


class Named(Form):
    """A name and an object of arguments; a call begins with the mark, or with the name."""

    __slots__ = ()

    def gate(self, opened: Opened) -> Gate:
        if opened.certain:
            return Gate(opened.opening)
        head = self.head(opened)
        if isinstance(head, Head):
            return Gate(f"{opened.opening}{head.name}{_ARGS}{opened.text[head.end :]}")
        return Gate(held=f"{opened.opening}{opened.text}") if head is NoHead.YET else Gate()

    def head(self, opened: Opened) -> Head | NoHead:
        found = _HEAD.match(opened.text)
        if found is not None and found.end() <= _LIMIT and found["name"] in opened.names:
            return Head(found["name"], found.end())
        return NoHead.YET if _may_be_head(opened.text, opened.names) else NoHead.EVER

    def one(self, functions: Functions) -> str:
        return f"start: call\n{self._call(functions)}"

    def whole(self, functions: Functions) -> str:
        return f"start: call{'+' if functions.several else ''}\n{self._call(functions)}"

    def _call(self, functions: Functions) -> str:
        each = functions.each()
        number = f"(({functions.mark(_CALL_ID)}) /[A-Za-z0-9]{{9}}/)?"
        return "\n".join(
            [
                f"call: ({functions.mark(self.opening)}) function",
                f"function: {' | '.join(f'f{at}' for at in range(len(each)))}",
                *(f"f{at}: {json.dumps(name)} args a{at}" for at, (name, _) in enumerate(each)),
                f"args: {number} ({functions.mark(_ARGS)})",
                *(f"a{at}: {arguments}" for at, (_, arguments) in enumerate(each)),
            ]
        )

    def history(self, messages: Sequence[Message]) -> list[dict[str, Any]]:
        return with_short_ids(messages)


def _may_be_head(text: str, names: Collection[str]) -> bool:
    """True if more text may make this the head of a call of one of these names."""
    head = text.strip()
    if len(text) > _LIMIT:
        return False
    return any(
        name.startswith(head) or (head.startswith(name) and _may_follow(head[len(name) :]))
        for name in names
    )


def _may_follow(text: str) -> bool:
    """True if this may follow a name, with more text, up to the brace of the arguments."""
    rest = text.lstrip()
    number = _ID.match(rest)
    rest = rest[number.end() :] if number else rest
    return any(mark.startswith(rest) for mark in (_ARGS, _CALL_ID))


NAMED: Final[Form] = Named(
    "named",
    ("[TOOL_CALLS]", _ARGS),
    "[TOOL_CALLS]",
    other_marks=(_ARGS, _CALL_ID),
    needs_names=True,
)
