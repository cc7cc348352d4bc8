"""The file of models of one server: written whole, and replaced in one step."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path

Entry = Mapping[str, object]


class ModelFile:
    """Entries by name, and the file that holds them."""

    def __init__(self, path: Path, entries: Mapping[str, Entry]) -> None:
        self.path = path
        self._entries = dict(entries)
        self._write()

    def set(self, name: str, entry: Entry) -> None:
        """Replace the entry of a name; a server that watches the file swaps its build."""
        self._entries[name] = entry
        self._write()

    def _write(self) -> None:
        beside = self.path.with_suffix(".new")
        beside.write_text(json.dumps(self._entries, indent=1))
        beside.replace(self.path)
