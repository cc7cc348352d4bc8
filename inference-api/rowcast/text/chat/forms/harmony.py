"""Calls in channels: gpt-oss.

    <|channel|>analysis<|message|>…<|end|><|start|>assistant            its reasoning
    <|channel|>commentary<|message|>…<|end|><|start|>assistant          text before a call
    <|channel|>commentary to=functions.f <|constrain|>json<|message|>{…}<|call|>
     to=functions.f<|channel|>commentary json<|message|>{…}<|call|>     the same call
    <|channel|>final<|message|>…                                        text

A reply is messages of a header and a body. Those to a function are calls, of which a turn has one;
those to anything else, and what only looks like a header, are text. Templates show one call to a
message, and the reasoning before it under a name of their own.
"""

import json
import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Any, Final

from rowcast.text.chat.forms.form import (
    TEXT,
    Form,
    Functions,
    Gate,
    Head,
    Message,
    NoHead,
    Opened,
    Place,
    Sought,
    begun,
)

_START, _END, _MESSAGE = "<|start|>", "<|end|>", "<|message|>"
_CHANNEL, _CONSTRAIN, _CALL = "<|channel|>", "<|constrain|>", "<|call|>"
_TO: Final = "to=functions."

_FIRST: Final[Place] = "first"  # the header of the first message, whose start the prompt has
_HEADER: Final[Place] = "header"
_NEXT: Final[Place] = "next"  # a header after text
_THOUGHT: Final[Place] = "thought"

_OPENING = re.compile(
    r"(?:<\|start\|>)?\s*(?:assistant)?\s*"
    r"(?:<\|channel\|>\s*(?:analysis|commentary|final)?\s*)?to=functions\."
)
_PLAIN_HEADER = re.compile(
    r"(?:<\|start\|>)?\s*(?:assistant)?\s*(?:<\|channel\|>\s*(?P<channel>\w+))?"
    r"\s*(?:<\|constrain\|>)?\s*\w*\s*"
)
_HEAD = re.compile(
    r"(?P<name>[^\s<]+)\s*(?:<\|channel\|>\s*\w+)?\s*(?:<\|constrain\|>)?\s*\w*\s*"
    r"<\|message\|>\s*(?=\{)"
)
_LIMIT: Final = 300  # characters of a header, and of white space after it


class Harmony(Form):
    """Messages in channels; a call begins with its recipient."""

    __slots__ = ()

    def seek(self, place: Place, text: str) -> Sought:
        return _body(place, text) if place in {TEXT, _THOUGHT} else _header(place, text)

    def gate(self, opened: Opened) -> Gate:
        return Gate(f"{_TO}{opened.text}")

    def head(self, opened: Opened) -> Head | NoHead:
        text = opened.text
        found = _HEAD.match(text)
        if found is not None and found.end() <= _LIMIT:
            return Head(found["name"], found.end())
        _, message, body = text.partition(_MESSAGE)
        ended = (message and body.strip()) or _START in text or _END in text
        return NoHead.EVER if ended or len(text) > _LIMIT else NoHead.YET

    def one(self, functions: Functions) -> str:
        return f'start: "{_TO}" function\n{_function(functions)}'

    def whole(self, functions: Functions) -> str:
        header = f'" "? "{_TO}" | ({functions.mark(_CHANNEL)}) "commentary {_TO}"'
        return f"start: ({header}) function\n{_function(functions)}"

    def history(self, messages: Sequence[Message]) -> list[dict[str, Any]]:
        return [_with_thinking(each) for each in _one_call_each(messages)]


def _body(place: Place, text: str) -> Sought:
    """Read the body of a message, up to the mark that ends it or begins the next one."""
    ends = [(at, mark) for mark in (_END, _START) if (at := text.find(mark)) >= 0]
    if not ends:
        held = len(text) - max(begun(text, _END), begun(text, _START))
        return Sought(text[held:], text[:held], place)
    at, mark = min(ends)
    if mark == _END:
        return Sought(text[at + len(_END) :], text[:at], place)
    return Sought(text[at:], text[:at], _NEXT if place == TEXT else _HEADER)


def _header(place: Place, text: str) -> Sought:
    """Read the header of a message."""
    if _begins(place, text):
        call = _OPENING.match(text)
        if call and call.end() <= _LIMIT:
            return Sought(text[call.end() :], opening=call[0])
        header, mark, body = text.partition(_MESSAGE)
        found = _PLAIN_HEADER.fullmatch(header) if mark else None
        if found and len(header) + len(mark) <= _LIMIT:
            thinks = found["channel"] == "analysis"
            gap = "\n\n" if place == _NEXT and not thinks else ""
            return Sought(body, gap, _THOUGHT if thinks else TEXT)
        ended = mark or _END in header or _START in header[1:] or len(text) > _LIMIT
        if not ended:
            return Sought(text, place=place)
    stray = _START if place != _FIRST and text.startswith(_START) else ""
    return Sought(text[len(stray) :], stray, TEXT)


def _begins(place: Place, text: str) -> bool:
    """True if a header begins like this, or may with more text."""
    header = text.lstrip()
    if place == _FIRST:
        return _is_like(header, (_CHANNEL, "to="))
    if _START.startswith(header):
        return True
    return _is_like(header.removeprefix(_START).lstrip(), ("assistant", _CHANNEL, "to="))


def _is_like(text: str, words: Sequence[str]) -> bool:
    return any(word.startswith(text) or text.startswith(word) for word in words)


def _function(functions: Functions) -> str:
    """Return rules for a function's name, the rest of the header, and the arguments."""
    each = functions.each()
    channel = f'({functions.mark(_CHANNEL)}) " "? "commentary"'
    kind = f'" "? ({functions.mark(_CONSTRAIN)})? "json"?'
    return "\n".join(
        [
            f"function: ({' | '.join(f'f{at}' for at in range(len(each)))}) end",
            *(f"f{at}: {json.dumps(name)} header a{at}" for at, (name, _) in enumerate(each)),
            f"header: ({channel})? {kind} ({functions.mark(_MESSAGE)})",
            f"end: ({functions.mark(_CALL)})?",
            *(f"a{at}: {arguments}" for at, (_, arguments) in enumerate(each)),
        ]
    )


def _one_call_each(messages: Sequence[Message]) -> list[dict[str, Any]]:
    """Return messages with one call each, and the result of a call after it."""
    found: list[dict[str, Any]] = []
    results: dict[str, dict[str, Any]] = {}
    bounds = [*(at for at, each in enumerate(messages) if each["role"] != "tool"), len(messages)]
    found += [dict(message) for message in messages[: bounds[0]]]
    for at, end in pairwise(bounds):
        message = dict(messages[at])
        results = {each.get("tool_call_id", ""): dict(each) for each in messages[at + 1 : end]}
        calls = message.get("tool_calls") or []
        if len(calls) < 2:
            found += [message, *map(dict, messages[at + 1 : end])]
            continue
        for number, call in enumerate(calls):
            first = message if number == 0 else {"role": "assistant", "content": ""}
            result = results.pop(call["id"], None)
            found += [{**first, "tool_calls": [call]}, *([result] if result else [])]
        found += results.values()
    return found


def _with_thinking(message: Message) -> dict[str, Any]:
    """Return a message with its reasoning in `thinking`, and the text before a call with it."""
    changed = dict(message)
    thought = changed.get("reasoning_content")
    if changed.get("role") != "assistant" or not thought:
        return changed
    if changed.get("tool_calls") and changed.get("content"):
        thought = f"{thought}\n\n{changed['content']}"
        changed["content"] = ""
    return {**changed, "thinking": thought}


HARMONY: Final[Form] = Harmony(
    "harmony",
    ("<|channel|>final<|message|>",),
    opening=_START,
    closing=_CALL,
    other_marks=(_END, _CHANNEL, _CONSTRAIN, _MESSAGE),
    start=_FIRST,
    quiet_places=(TEXT, _THOUGHT),
    thoughts=(_THOUGHT,),
    repeats=False,
    last_character=".",
    reasoning_end="<|end|><|start|>assistant",
)
