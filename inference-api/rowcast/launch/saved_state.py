"""What a supervisor leaves to its successor, in their folder: the last valid catalog.

If a supervisor is killed while the file of models is wrong, its successor serves the same models.
The memory for models is what the first supervisor measured: later, loaded models use some of it.
"""

from pathlib import Path

import msgspec

from rowcast.models.build import Build

FILE = "supervisor.json"


class SavedState(msgspec.Struct, frozen=True):
    """The last catalog, and the memory of all models together."""

    builds: tuple[Build, ...]
    memory: int

    def save(self, folder: Path) -> None:
        """Replace what was saved before."""
        part = folder / f"{FILE}.part"
        part.write_bytes(msgspec.json.encode(self))
        part.replace(folder / FILE)


def saved_state(folder: Path) -> SavedState | None:
    """Return what a predecessor saved; None if there was none."""
    try:
        return msgspec.json.decode((folder / FILE).read_bytes(), type=SavedState)
    except (OSError, msgspec.DecodeError):
        return None
