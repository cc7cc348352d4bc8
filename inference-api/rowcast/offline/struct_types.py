"""Describes all structs of this package, before several threads read bodies.

msgspec builds the description of a struct when it is first needed. Two threads that need the same
one at the same time crash the process.
"""

import threading

import msgspec

_describing = threading.Lock()


def describe_structs() -> None:
    """Build the descriptions that are missing."""
    with _describing:
        found: list[type] = [msgspec.Struct]
        while found:
            kind = found.pop()
            found += kind.__subclasses__()
            if kind.__module__.startswith("rowcast."):
                msgspec.json.Decoder(kind)
