"""The faults of a file of models, all together, each with its line.

config/model_config.json:7: "dtpye" in "small" is not a key of a model; did you mean "dtype"?
"""

from collections.abc import Sequence
from dataclasses import dataclass

from rowcast.errors import RowcastError

SHOWN = 20  # faults


@dataclass(frozen=True, slots=True, order=True)
class Fault:
    """One thing to change. Line 0 means the file as a whole."""

    line: int
    problem: str

    def at(self, file: str) -> str:
        """Return the fault with its place."""
        return f"{file}:{self.line}: {self.problem}" if self.line else f"{file}: {self.problem}"


class InvalidCatalog(RowcastError):
    """The file of models cannot be served. The message has a line for each fault."""

    def __init__(self, file: str, faults: Sequence[Fault]) -> None:
        more = len(faults) - SHOWN
        shown = [fault.at(file) for fault in sorted(set(faults))[:SHOWN]]
        super().__init__("\n".join([*shown, *([f"{file}: {more} more"] if more > 0 else [])]))
        self.faults = tuple(faults)


def shortened(text: str, limit: int = 60) -> str:
    """Return a text of the file as a message shows it: quoted, in ASCII, and not too long."""
    quoted = ascii(text if len(text) <= limit else f"{text[:limit]}…")[1:-1]
    return f'"{quoted}"'
