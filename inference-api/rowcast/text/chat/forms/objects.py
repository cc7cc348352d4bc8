"""Calls as JSON objects of a name and arguments: what the forms that write them have in common.

{"name": "f", "arguments": {…}}
"""

import json
import re
from collections.abc import Sequence
from typing import Final

from rowcast.text.chat.forms.form import Form, Head, NoHead, Tail, behind

GAP: Final = 64  # characters of white space between a mark and what follows it
SPACE: Final = r"/[ \t\r\n]{0,32}/"
_HEAD = re.compile(
    r'\s*\{\s*"name"\s*:\s*"(?P<name>(?:[^"\\]|\\.)*)"\s*,'
    r'\s*"(?:arguments|parameters)"\s*:\s*(?=\{)'
)
_BEGINNING: Final = '{"name":"'
_HEAD_LIMIT: Final = 500  # characters within which a call must give its name


class ObjectForm(Form):
    """A form that writes an object, whose brace follows the arguments."""

    __slots__ = ()

    def tail(self, text: str) -> Tail | None:
        end = behind(text, ("}", self.closing))
        return None if end is None else Tail(end)


def object_head(text: str) -> Head | None:
    """Return the head of an object, up to its arguments, if the text begins with one."""
    found = _HEAD.match(text)
    if found is None or found.end() > _HEAD_LIMIT:
        return None
    name = _unescaped(found["name"])
    return None if name is None else Head(name, found.end())


def _unescaped(written: str) -> str | None:
    """Return what a string of JSON means; None if it is not valid."""
    if "\\" not in written:
        return written
    try:
        return str(json.loads(f'"{written}"'))
    except ValueError:
        return None


def no_head(held: str) -> NoHead:
    """Return whether a text without a head may still become the head of an object."""
    return NoHead.YET if may_be_head(held) else NoHead.EVER


def may_be_head(held: str) -> bool:
    """True if this may still become the head of an object."""
    squeezed = "".join(held.split())
    begins = squeezed.startswith(_BEGINNING) or _BEGINNING.startswith(squeezed)
    return begins and len(held) <= _HEAD_LIMIT


def place_of(words: Sequence[str], text: str) -> int | None:
    """Return the place of the words with which a text begins, after white space; -1 if it does not.

    None: more text is needed to know it.
    """
    at = len(text) - len(text.lstrip(" \t\r\n"))
    if at > GAP:
        return -1
    if any(text.startswith(word, at) for word in words):
        return at
    return None if any(word.startswith(text[at:]) for word in words) else -1
