"""Reads a text by a form, and follows it as the backend does."""

from collections.abc import Collection, Sequence
from itertools import pairwise

from rowcast.text.chat.call_beginning import Beginning, Finder
from rowcast.text.chat.forms.form import Form
from rowcast.text.chat.parts import CallArguments, CallStart, ReasoningPart, TextPart
from rowcast.text.chat.tool_calls import ToolReader

Call = tuple[str, str]

NAMES = ("get", "get_all")


def read(
    form: Form, pieces: Sequence[str], names: Collection[str] = NAMES, *, several: bool = True
) -> tuple[str, str, list[Call]]:
    """Return the reasoning, the text and the calls."""
    reader = ToolReader(form, names, several=several)
    found = [each for piece in pieces for each in reader.feed(piece)] + reader.finish()
    thought, text, calls = "", "", list[Call]()
    for part in found:
        match part:
            case ReasoningPart():
                thought += part.text
            case TextPart():
                text += part.text
            case CallStart():
                assert part.index == len(calls)
                calls.append((part.name, ""))
            case CallArguments():
                assert part.index == len(calls) - 1
                calls[-1] = (calls[-1][0], calls[-1][1] + part.text)
    return thought, text, calls


def beginning(
    form: Form, pieces: Sequence[bytes], names: Sequence[str] = NAMES, marks: Collection[bytes] = ()
) -> bytes | None:
    """Return what a grammar follows of a reply's first call; `marks`: pieces that are tokens."""
    finder = Finder(Beginning(form.name, tuple(names) if form.needs_names else ()))
    state = finder.start
    for at, piece in enumerate(pieces):
        state, call = finder.find(state, piece, is_mark=piece in marks)
        if call:
            return call + b"".join(pieces[at + 1 :])
    return None


def cut(text: str, places: Sequence[int]) -> list[str]:
    """Return the text in pieces."""
    bounds = sorted({0, len(text), *(place % (len(text) + 1) for place in places)})
    return [text[at:to] for at, to in pairwise(bounds)]
