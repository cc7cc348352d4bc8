"""Kinds that are made of other kinds: with a further condition, as a list, or as an alternative."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, ClassVar, Generic, TypeVar

from rowcast_settings.kinds import Invalid, Kind, Text

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Fitting(Generic[T]):
    """A kind with a further condition; `rule` states it."""

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
    """A list of values of one kind."""

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
    """A text, or a JSON object with any fields."""

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
