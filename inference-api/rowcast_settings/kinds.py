"""Kinds of values: what a value has to be, and the value that it means.

In: the text of a variable or flag, or a value of JSON (`strict`: a text is no number). Out: the
value, or `Invalid` with the kind's rule, which shows nothing of the value.
"""

import os
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, ClassVar, Generic, Protocol, TypeVar

T = TypeVar("T")
T_co = TypeVar("T_co", covariant=True)

_WHOLE = re.compile(r"\s*([+-]?[0-9]+(?:_[0-9]+)*)(?:\.0+)?\s*")
_SWITCH = {
    **dict.fromkeys(("1", "true", "yes", "on", "t", "y"), True),
    **dict.fromkeys(("0", "false", "no", "off", "f", "n"), False),
}


class Invalid(ValueError):
    """A value is not of a kind; the text is the rule, to be read behind a name."""


class Kind(Protocol[T_co]):
    @property
    def word(self) -> str:
        """What stands behind the flag in --help."""

    @property
    def rule(self) -> str:
        """What a value has to be."""

    def checked(self, value: object, *, strict: bool = False) -> T_co:
        """Return the value that is meant. Raises Invalid."""

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of strict values."""


class Secret:
    """A text that no representation shows."""

    __slots__ = ("_text",)

    def __init__(self, text: str) -> None:
        self._text = text

    def get_secret_value(self) -> str:
        return self._text

    def __repr__(self) -> str:
        return "Secret('**********')"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Secret) and self._text == other.get_secret_value()

    def __hash__(self) -> int:
        return hash(self._text)


@dataclass(frozen=True, slots=True)
class Text:
    """A text; `most`: characters, 0 for any number."""

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
    """Return the whole number that is meant; None if there is none."""
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
    """A number from `least` to `most`; `above`: `least` itself is too small."""

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
    """Return the number that is meant; None if there is none."""
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
    """One of some words. `synonyms`: other words for them."""

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


@dataclass(frozen=True, slots=True)
class SecretText:
    word: ClassVar[str] = "str"
    rule: ClassVar[str] = "has to be a text"

    def checked(self, value: object, *, strict: bool = False) -> Secret:  # noqa: ARG002
        if isinstance(value, Secret):
            return value
        if not isinstance(value, str):
            raise Invalid(self.rule)
        return Secret(value)

    def schema(self) -> dict[str, Any]:
        return {"type": "string"}


@dataclass(frozen=True, slots=True)
class Fitting(Generic[T]):
    """A kind with a further condition and, for that, a rule."""

    kind: Kind[T]
    fits: Callable[[T], bool]
    rule: str

    @property
    def word(self) -> str:
        return self.kind.word

    def checked(self, value: object, *, strict: bool = False) -> T:
        meant = self.kind.checked(value, strict=strict)
        if not self.fits(meant):
            raise Invalid(self.rule)
        return meant

    def schema(self) -> dict[str, Any]:
        return self.kind.schema()


@dataclass(frozen=True, slots=True)
class Several(Generic[T]):
    """A list of a kind's values."""

    kind: Kind[T]
    most: int
    word: ClassVar[str] = "list"

    @property
    def rule(self) -> str:
        return f"has to be a list of at most {self.most}; each {self.kind.rule}"

    def checked(self, value: object, *, strict: bool = False) -> list[T]:
        if not isinstance(value, list) or len(value) > self.most:
            raise Invalid(self.rule)
        try:
            return [self.kind.checked(each, strict=strict) for each in value]
        except Invalid as error:
            raise Invalid(self.rule) from error

    def schema(self) -> dict[str, Any]:
        return {"items": self.kind.schema(), "maxItems": self.most, "type": "array"}


@dataclass(frozen=True, slots=True)
class TextOrObject:
    """A text, or an object of JSON with any fields."""

    text: Text
    word: ClassVar[str] = "str"

    @property
    def rule(self) -> str:
        return f"{self.text.rule}, or an object"

    def checked(self, value: object, *, strict: bool = False) -> str | dict[str, Any]:
        if isinstance(value, dict):
            return value
        try:
            return self.text.checked(value, strict=strict)
        except Invalid as error:
            raise Invalid(self.rule) from error

    def schema(self) -> dict[str, Any]:
        anything = {"additionalProperties": True, "type": "object"}
        return {"anyOf": [self.text.schema(), anything]}
