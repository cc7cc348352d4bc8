"""Encodes the events of a stream that differ in one value; what is the same is encoded once.

{"id":"chatcmpl-1","choices":[{"index":0,"delta":{"content":GAP},…}],"seed":7}
└──────────────────── before ──────────────────────────────┘   └── after ──┘
"""

from typing import Any, Final

import msgspec

_MARK: Final = b"\0"  # no JSON has this byte
GAP: Final[Any] = msgspec.Raw(_MARK)  # stands for the value that differs

_encode = msgspec.json.Encoder().encode


class ConstantParts:
    """What is before and after one value in the JSON of an object."""

    __slots__ = ("_after", "_before")

    def __init__(self, example: msgspec.Struct) -> None:
        """`example`: the object, with GAP in place of the value."""
        self._before, self._after = _encode(example).split(_MARK)

    def around(self, value: object) -> bytes:
        """Return the JSON of the object that has this value."""
        return b"%b%b%b" % (self._before, _encode(value), self._after)
