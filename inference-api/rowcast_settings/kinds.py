"""Kinds of values: what a setting may be, and which value it means.

In: the text of a variable or flag, or a value of JSON (`strict`: "1" is not a number). Out: the
value, or `Invalid` with the kind's rule. No message shows the value.
"""

import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

T_co = TypeVar("T_co", covariant=True)

_WHOLE = re.compile(r"\s*([+-]?[0-9]+(?:_[0-9]+)*)(?:\.0+)?\s*")
_SWITCH = {
    **dict.fromkeys(("1", "true", "yes", "on", "t", "y"), True),
    **dict.fromkeys(("0", "false", "no", "off", "f", "n"), False),
}


class Invalid(ValueError):
    """A value is not of a kind. The message is the rule, which follows a name: "has to be …"."""


class Kind(Protocol[T_co]):
    @property
    def word(self) -> str:
        """What follows the flag in --help."""

    @property
    def rule(self) -> str:
        """What a value has to be."""

    def checked(self, value: object, *, strict: bool = False) -> T_co:
        """Return the value that is meant. Raises Invalid."""

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of strict values."""


@dataclass(frozen=True, slots=True)
class Text:
    """A text of `least` to `most` characters; `most=0`: of any length."""

    pattern: str = ""
    least: int = 0
    most: int = 0
    word: ClassVar[str] = "str"

    @property
    def rule(self) -> str:
        upper = f" to {self.most}" if self.most else " or more"
        length = f" of {self.least}{upper} characters" if self.least or self.most else ""
        return f"has to be a text{length}" + (f" that matches {self.pattern}" * bool(self.pattern))

    def checked(self, value: object, *, strict: bool = False) -> str:  # noqa: ARG002
        if not isinstance(value, str) or not self._fits(value):
            raise Invalid(self.rule)
        return value

    def _fits(self, text: str) -> bool:
        if len(text) < self.least or (self.most and len(text) > self.most):
            return False
        return not self.pattern or re.fullmatch(self.pattern, text) is not None

    def schema(self) -> dict[str, Any]:
        bounds = {"maxLength": self.most, "minLength": self.least, "pattern": self.pattern}
        return {name: bound for name, bound in bounds.items() if bound} | {"type": "string"}


@dataclass(frozen=True, slots=True)
class Whole:
    """A whole number from `least` to `most`, or without an upper bound."""

    least: int
    most: int | None = None
    word: ClassVar[str] = "int"

    @property
    def rule(self) -> str:
        bounds = (
            f"of {self.least} or more" if self.most is None else f"from {self.least} to {self.most}"
        )
        return f"has to be a whole number {bounds}"

    def checked(self, value: object, *, strict: bool = False) -> int:
        number = _whole(value, strict)
        if number is None or number < self.least or (self.most is not None and number > self.most):
            raise Invalid(self.rule)
        return number

    def schema(self) -> dict[str, Any]:
        upper = {} if self.most is None else {"maximum": self.most}
        return upper | {"minimum": self.least, "type": "integer"}


def _whole(value: object, strict: bool) -> int | None:
    """Return the whole number that a value means; None if it is not one."""
    if isinstance(value, int):
        return None if isinstance(value, bool) else value
    if isinstance(value, float) and value.is_integer() and not strict:
        return int(value)
    found = _WHOLE.fullmatch(value) if isinstance(value, str) and not strict else None
    try:
        return int(found[1]) if found else None
    except ValueError:  # too many digits
        return None


@dataclass(frozen=True, slots=True)
class Number:
    """A number from `least` to `most`. `above`: `least` itself is too small."""

    least: float
    most: float
    above: bool = False
    word: ClassVar[str] = "float"

    @property
    def rule(self) -> str:
        lower = f"above {self.least}, at most" if self.above else f"from {self.least} to"
        return f"has to be a number {lower} {self.most:.0f}"

    def checked(self, value: object, *, strict: bool = False) -> float:
        number = _number(value, strict)
        inside = number is not None and self.least <= number <= self.most
        if number is None or not inside or (self.above and number == self.least):
            raise Invalid(self.rule)
        return number

    def schema(self) -> dict[str, Any]:
        lower = "exclusiveMinimum" if self.above else "minimum"
        return {"maximum": self.most, lower: self.least, "type": "number"}


def _number(value: object, strict: bool) -> float | None:
    """Return the number that a value means; None if it is not one."""
    if isinstance(value, bool) or not isinstance(value, int | float | str):
        return None
    try:
        return None if strict and isinstance(value, str) else float(value)
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True, slots=True)
class Switch:
    """True or false."""

    word: ClassVar[str] = ""
    rule: ClassVar[str] = "has to be true or false"

    def checked(self, value: object, *, strict: bool = False) -> bool:
        if isinstance(value, bool):
            return value
        meant = _SWITCH.get(str(value).lower())
        if strict or meant is None or not isinstance(value, str | int):
            raise Invalid(self.rule)
        return meant

    def schema(self) -> dict[str, Any]:
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True)
class Choice(Generic[T_co]):
    """One of several words. `synonyms`: other words for them."""

    words: tuple[T_co, ...]
    synonyms: Mapping[str, str] = field(default_factory=dict)
    any_case: bool = False

    @property
    def word(self) -> str:
        return f"{{{','.join(map(str, self.words))}}}"

    @property
    def rule(self) -> str:
        *others, last = map(str, self.words)
        return f"has to be {', '.join(others)} or {last}"

    def checked(self, value: object, *, strict: bool = False) -> T_co:  # noqa: ARG002
        text = value if isinstance(value, str) else ""
        text = text.lower() if self.any_case else text
        for word in self.words:
            if word == self.synonyms.get(text, text):
                return word
        raise Invalid(self.rule)

    def schema(self) -> dict[str, Any]:
        return {"enum": [*self.words], "type": "string"}


@dataclass(frozen=True, slots=True)
class Place:
    """A path."""

    word: ClassVar[str] = "Path"
    rule: ClassVar[str] = "has to be a path"

    def checked(self, value: object, *, strict: bool = False) -> Path:  # noqa: ARG002
        if not isinstance(value, str | os.PathLike):
            raise Invalid(self.rule)
        return Path(value)

    def schema(self) -> dict[str, Any]:
        return {"type": "string"}
