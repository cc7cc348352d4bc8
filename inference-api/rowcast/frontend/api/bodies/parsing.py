"""Bodies of the OpenAI dialect: strict parsing from JSON to the structures of `types.py`.

Types are not coerced, unknown names are refused, and every error names its field:
`messages[0].role`.
"""

import difflib
import json
import re
from collections.abc import Callable, Iterable
from functools import partial
from typing import Any, TypeVar

import msgspec

from rowcast.errors import InvalidField, MalformedRequest
from rowcast.frontend.api.bodies.types import IGNORED, REFUSED, Sampling
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.models.waiting import ClaimOptions
from rowcast.frontend.request.keep_alive import keep_alive_seconds
from rowcast.frontend.request.request import Request
from rowcast.frontend.served_model import ServedModel

_Read = TypeVar("_Read", bound=msgspec.Struct)
_PATH = re.compile(r"(?P<key>`key` in )?`\$\.?(?P<path>.*)`")
_MISSING = re.compile(r"Object missing required field `(?P<name>.*)`", re.DOTALL)
_UNKNOWN = re.compile(r"Object contains unknown field `(?P<name>.*)`", re.DOTALL)
_WORDS = {
    "`int`": "a whole number",
    "`float`": "a number",
    "`str`": "a string",
    "`bool`": "true or false",
    "`array`": "a list",
    "`object`": "an object",
    "`null`": "null",
}
_SHOWN, _KEY_SHOWN = 200, 40
_SOME_KEY = "[...]"  # in a path, stands for the key of an object's entry


def read(frontend: Frontend, request: Request, kind: type[_Read]) -> tuple[_Read, ServedModel]:
    """Parse the request's body; return it with the model that it names. Raises UnknownModel."""
    return read_object(frontend, request, request.body.json(plain=True), kind)


def read_object(
    frontend: Frontend, request: Request, body: dict[str, Any], kind: type[_Read]
) -> tuple[_Read, ServedModel]:
    """Do the same as `read` for a body that has already been parsed."""
    read_as = as_struct(body, kind)
    options = ClaimOptions()
    if isinstance(read_as, Sampling):
        options = claim_options(read_as, events=bool(read_as.stream))
    return read_as, frontend.model(getattr(read_as, "model", None), request, options)


def claim_options(body: Sampling, *, events: bool) -> ClaimOptions:
    """Return what the body requests of its claim. `events`: the answer is an event stream."""
    return ClaimOptions(
        events=events,
        timeout=body.timeout,
        keep_alive=keep_alive_seconds(body.keep_alive),
    )


def as_struct(body: dict[str, Any], kind: type[_Read]) -> _Read:
    """Convert a JSON object to the structure `kind`."""
    _check_text(body)
    known = kind.__struct_encode_fields__
    sent = {name: value for name, value in body.items() if _counts(name, value, known)}
    try:
        return msgspec.convert(sent, kind)
    except msgspec.ValidationError as error:
        raise _fault(str(error), partial(_key, sent, kind)) from error


def _counts(name: str, value: object, known: Iterable[str]) -> bool:
    """Return whether a field is to be read; raise if it may not be sent."""
    if name in known:
        return True
    if name in REFUSED:
        why, harmless = REFUSED[name]
        if value is None or any(value == each for each in harmless):
            return False
        raise InvalidField(name, why)
    if name in IGNORED:
        return False
    near = difflib.get_close_matches(name[:40], list(known), n=1)
    hint = f"; did you mean {near[0]}?" if near else ""
    raise InvalidField(name[:80], f"is not a known argument{hint}")


def _check_text(body: dict[str, Any]) -> None:
    """Refuse strings with half of a surrogate pair, which JSON can spell but which is not text."""
    try:
        msgspec.json.encode(body)  # ten times faster than a walk through all values
    except UnicodeEncodeError as error:
        raise MalformedRequest(
            "a string contains half of a surrogate pair; send both halves"
        ) from error


def _key(sent: dict[str, Any], kind: type[msgspec.Struct], name: str) -> str:
    """Return the first key of an object whose entry is wrong; msgspec's messages omit it."""
    (wanted,) = (each.type for each in msgspec.structs.fields(kind) if each.encode_name == name)
    for key, value in sent[name].items():
        try:
            msgspec.convert({key: value}, wanted)
        except msgspec.ValidationError:
            return f"[{json.dumps(key[:_KEY_SHOWN], ensure_ascii=False)}]"
    return ""


def _fault(message: str, key: Callable[[str], str]) -> InvalidField:
    problem, path, of_key = _parted(message)
    if of_key or path.endswith(_SOME_KEY):
        path = path.removesuffix(_SOME_KEY)
        path += key(path) if path.isidentifier() else ""
    for pattern, text in ((_MISSING, "is missing"), (_UNKNOWN, "is not a known argument")):
        named = pattern.fullmatch(problem)
        if named:
            return InvalidField(f"{path}.{named['name']}".lstrip("."), text)
    return InvalidField(path or "body", f"is invalid: {_worded(problem[: 2 * _SHOWN])[:_SHOWN]}")


def _parted(message: str) -> tuple[str, str, bool]:
    """Return the problem (it may quote the body at any length), its path, and if it is in a key."""
    problem, _, where = message.rpartition(" - at ")
    found = _PATH.fullmatch(where)
    return (problem, found["path"], bool(found["key"])) if found else (message, "", False)


def _worded(problem: str) -> str:
    """Return the problem in plain words instead of Python's types."""
    text = problem.replace(" | null`", "`").replace("null | ", "")
    text = re.sub(r"`([a-z]+(?: \| [a-z]+)*)`", _alternatives, text)
    return text[:1].lower() + text[1:]


def _alternatives(found: re.Match[str]) -> str:
    return " or ".join(_WORDS.get(f"`{each}`", each) for each in found[1].split(" | "))
