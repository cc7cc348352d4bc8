"""The current builds by each of their names: a value, replaced by each Snapshot."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Self

import msgspec

from rowcast.frontend.models.slot import Slot
from rowcast.frontend.served_model import ALIAS


@dataclass(frozen=True, slots=True)
class Table:
    """The builds to which new requests go."""

    current: tuple[Slot, ...] = ()  # the default model's first
    by_name: Mapping[str, Slot] = field(default_factory=dict)

    @classmethod
    def of(cls, current: Sequence[Slot]) -> Self:
        """Return the table of these builds. A model's own name precedes an alias, that a path."""
        by_name: dict[str, Slot] = {}
        for group in zip(*(each.names.ranked for each in current), strict=True):
            for slot, names in zip(current, group, strict=True):
                for name in names:
                    by_name.setdefault(name, slot)
        if current:
            by_name.setdefault(ALIAS, current[0])
        return cls(tuple(current), by_name)

    @property
    def listed(self) -> tuple[str, ...]:
        """The names of all models, as callers are shown them."""
        default = self.current[0] if self.current else None
        shown: list[str] = []
        for slot in self.current:
            names = (*slot.names.listed, *slot.names.aliases, *([ALIAS] * (slot is default)))
            shown += (name for name in names if self.by_name[name] is slot)
        return tuple(dict.fromkeys(shown))


class _Named(msgspec.Struct):
    """The fields of a body that name its model."""

    model: str | None = None
    model_name: str | None = None  # its name in some bodies of `/generate`


def named_in(body: bytes) -> str | None:
    """Return the model that a body names; None if it names none or cannot be parsed."""
    try:
        named = msgspec.json.decode(body, type=_Named)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None  # the dialect, which parses all of it, reports the error
    return named.model or named.model_name
