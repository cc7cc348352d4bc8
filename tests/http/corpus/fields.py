"""JSON objects that are not prompts: wrong types, wrong values, missing and unknown fields.

All are answered 400 by the server itself, also through the proxy, and the message names the field.
"""

import json

from ..case import Case, sent

_SHAPES: dict[str, bytes] = {
    "an array": b"[1]",
    "an object": b'{"a": 1}',
    "true": b"true",
}


def _field(field: str, value: bytes, what: str, says: str, *allowed: int) -> Case:
    text = b"" if field == "text" else b'"text": "Hi", "max_tokens": 2, '
    if field == "max_tokens":
        text = b'"text": "Hi", '
    return Case(
        name=f"{field} is {what}",
        says=says,
        raw=sent(b'{%s"%s": %s}' % (text, field.encode(), value)),
        allowed=allowed or (400,),
        hint="" if 200 in allowed else field,
        behind=True,
    )


def _shapes(field: str, says: str, *besides: str) -> tuple[Case, ...]:
    """Return a case for every JSON type that the field cannot have."""
    return tuple(
        _field(field, value, what, says) for what, value in _SHAPES.items() if what not in besides
    )


def _number(field: str, low: bytes, high: bytes) -> tuple[Case, ...]:
    """Return values that no number field accepts."""
    says = "a number within its bounds is needed"
    return (
        *_shapes(field, says),
        _field(field, low, "too small", says),
        _field(field, high, "too large", says),
        _field(field, b"NaN", "NaN", says),
        _field(field, b"-Infinity", "-Infinity", says),
        _field(field, b"1e400", "1e400", says),
        _field(field, b"-" + b"9" * 400, "minus 400 digits", says),
        _field(field, b'"abc"', "a word", says),
        _field(field, b'""', "an empty string", says),
        _field(field, b'"nan"', "nan as a string", says),
        _field(field, b'"1_0"', "digits with an underscore", says),
        _field(field, '"\u0661"'.encode(), "digits that are not ASCII", says),
    )


def _text(field: str) -> tuple[Case, ...]:
    """Return values that no text field accepts."""
    says = "a string of Unicode text is needed"
    return (
        *_shapes(field, says),
        _field(field, b"1", "a number", says),
        _field(field, b'"\\ud800"', "half a surrogate pair", says),
        _field(field, b'"\\udc00\\ud800"', "a surrogate pair, reversed", says),
    )


_VALUES = (
    *_text("text"),
    *_text("stop_sequence"),
    *_text("session_id"),
    *_text("user_id"),
    *_number("temperature", b"0", b"100.01"),
    *_number("top_p", b"0.001", b"1.01"),
    *_number("top_k", b"0", b"1001"),
    *_number("max_tokens", b"0", b"2049"),
    *_number("seed", b"-1", b"9223372036854775808"),
    _field("top_k", b"1.5", "a fraction", "a whole number is needed"),
    _field("max_tokens", b'"1.5"', "a fraction as a string", "a whole number is needed"),
    _field("seed", b"0.5", "a fraction", "a whole number is needed"),
    _field("seed", b'"%s"' % (b"9" * 4000), "4,000 digits as a string", "beyond its bounds"),
    _field("stream", b"1", "a number", "true or false is needed"),
    _field("stream", b'"yes"', "a word", "true or false is needed"),
    _field("stream", b"[]", "an array", "true or false is needed"),
    _field("return_prompt", b"0", "a number", "true or false is needed"),
    _field("return_prompt", b'"TRUE"', "a word", "true or false is needed"),
    _field("return_prompt", b"{}", "an object", "true or false is needed"),
    _field("text", b'""', "empty", "at least one character is needed"),
    _field("text", b"null", "null", "as if it were missing"),
    _field("text", b'"\\u0000"', "NUL", "odd, but text", 200),
    _field("seed", b"null", "null", "as if it were missing", 200),
    _field("stream", b'"true"', "true as a string", "lawful in this dialect", 200),
    _field("top_p", b'"0.9"', "a number as a string", "lawful in this dialect", 200),
)


def _object(name: str, body: object, says: str, hint: str) -> Case:
    raw = sent(json.dumps(body).encode())
    return Case(name=name, says=says, raw=raw, hint=hint, behind=True)


_NAMES = (
    _object("no fields", {}, "text is missing", "text"),
    _object("no text", {"max_tokens": 2}, "text is missing", "text"),
    _object("unknown field", {"text": "Hi", "colour": "red"}, "not a field", "colour"),
    _object("misspelt field", {"text": "Hi", "max_token": 2}, "nearly a field", "max_tokens?"),
    _object(
        "field of another dialect", {"text": "Hi", "max_new_tokens": 2}, "meant", "max_tokens?"
    ),
    _object("prompt for text", {"prompt": "Hi"}, "meant", "did you mean text?"),
    _object("field in capitals", {"TEXT": "Hi"}, "names have case", "TEXT"),
    _object("empty name", {"text": "Hi", "": 1}, "not a field", "not a known field"),
    _object("name of a surrogate", {"text": "Hi", "\ud800": 1}, "not a field", "not a known field"),
    _object("name of 100 kB", {"text": "Hi", "a" * 100_000: 1}, "not a field", "not a known field"),
    _object("name of a dunder", {"text": "Hi", "__class__": 1}, "not a field", "__class__"),
    _object("name with markup", {"text": "Hi", "<b>": 1}, "not a field", "<b>"),
)

CASES = (*_VALUES, *_NAMES)
