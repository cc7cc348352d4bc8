"""Reads typed, bounded values from a JSON object, with errors that say what to change.

Every dialect names its fields once, with type and bounds, and reads them here. A null counts as a
field that was not sent. Unknown names are refused, with the nearest known one.
"""

import difflib
from collections.abc import Collection, Mapping
from typing import Any

from rowcast.errors import InvalidField

_SHOWN = 40
_FEW = 8
_HUGE = 1e300


class Fields:
    """A JSON object. `lenient`: numbers and booleans may come as strings."""

    def __init__(
        self,
        body: Mapping[str, Any],
        known: Collection[str],
        *,
        lenient: bool = False,
        meant: Mapping[str, str] | None = None,
    ) -> None:
        self._body = body
        self._lenient = lenient
        for name in body:
            if name not in known:
                raise InvalidField(_shown(name), _unknown(name, known, meant or {}))

    def value(self, name: str) -> object:
        """Return a field as it was sent; None if it was not."""
        return self._body.get(name)

    def text(self, name: str, longest: int | None = None) -> str | None:
        """Return a string of Unicode text, of at most `longest` characters."""
        value = self._body.get(name)
        if value is None:
            return None
        if not isinstance(value, str):
            raise InvalidField(name, f"is {_shown(value)}; expected a string")
        try:
            value.encode()
        except UnicodeEncodeError as error:
            raise InvalidField(
                name, "contains half of a surrogate pair; send both halves"
            ) from error
        if longest is not None and len(value) > longest:
            raise InvalidField(name, f"has {len(value)} characters; the limit is {longest}")
        return value

    def required_text(self, name: str) -> str:
        """Return a string that must be present and not empty."""
        value = self.text(name)
        if value is None:
            raise InvalidField(name, "is missing; a string is required")
        if not value:
            raise InvalidField(name, "is empty; send at least one character")
        return value

    def number(self, name: str, default: float, low: float, high: float) -> float:
        """Return a number from `low` to `high`."""
        value = self._body.get(name)
        if value is None:
            return default
        number = self._number(value)
        if number is None or not low <= number <= high:
            raise InvalidField(name, f"is {_shown(value)}; send a number from {low:g} to {high:g}")
        return number

    def integer(self, name: str, default: int, low: int, high: int) -> int:
        """Return a whole number from `low` to `high`."""
        value = self._body.get(name)
        if value is None:
            return default
        number = self._integer(value)
        if number is None or not low <= number <= high:
            raise InvalidField(
                name, f"is {_shown(value)}; send a whole number from {low} to {high}"
            )
        return number

    def flag(self, name: str, default: bool) -> bool:
        """Return a boolean."""
        value = self._body.get(name)
        if value is None:
            return default
        if self._lenient and isinstance(value, str) and value in {"true", "false"}:
            return value == "true"
        if not isinstance(value, bool):
            raise InvalidField(name, f"is {_shown(value)}; send true or false")
        return value

    def _number(self, value: object) -> float | None:
        """Return `value` as a finite number; None if it is not one."""
        if isinstance(value, str) and self._lenient:
            return _parsed(value)
        if isinstance(value, bool) or not isinstance(value, int | float):
            return None
        return float(value) if abs(value) < _HUGE else None  # NaN is not less than anything

    def _integer(self, value: object) -> int | None:
        if isinstance(value, int) and not isinstance(value, bool):
            return value
        if isinstance(value, str) and self._lenient and value.isascii() and value.isdigit():
            return int(value) if len(value) <= 20 else None
        number = self._number(value)
        return int(number) if number is not None and number.is_integer() else None


def _parsed(text: str) -> float | None:
    if not text.isascii() or "_" in text:
        return None
    try:
        number = float(text)
    except ValueError:
        return None
    return number if abs(number) < _HUGE else None


def _shown(value: object) -> str:
    """Return the caller's value for an error message, short enough to read."""
    if isinstance(value, list | dict) and not _is_short(value):
        return "a list" if isinstance(value, list) else "an object"
    shown = repr(value[: _SHOWN + 1]) if isinstance(value, str) else f"{value}"
    return shown if len(shown) <= _SHOWN else shown[:_SHOWN] + "…"


def _is_short(value: list[Any] | dict[str, Any]) -> bool:
    """Return whether the value is quick to write out: a few values, none of them nested."""
    inner = value.values() if isinstance(value, dict) else value
    return len(value) <= _FEW and not any(isinstance(each, list | dict) for each in inner)


def _unknown(name: str, known: Collection[str], meant: Mapping[str, str]) -> str:
    near = [meant[name]] if name in meant else difflib.get_close_matches(name[:_SHOWN], known, n=1)
    if near:
        return f"is not a known field; did you mean {near[0]}?"
    return f"is not a known field; the known fields are {', '.join(known)}"
