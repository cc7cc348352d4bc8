"""Secrets: texts that no representation and no message shows."""

from dataclasses import dataclass
from typing import Any, ClassVar

from rowcast_settings.kinds import Invalid


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
class SecretText:
    """A text that becomes a `Secret`."""

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
