"""Watches the file of models and the models' files, and reads the catalog again when they change.

    watch.poll(now) ──▶ a new Catalog, or None
    watch.problem   ──▶ why the last change was not applied

It looks every `EVERY` seconds and follows links, so that replacing a link is a change. An invalid
file changes nothing, and its problem stays until the file is corrected. A model's files that change
are used once two looks have found them equal: until then, they may still be being copied. Has no
thread: its owner calls it.
"""

from pathlib import Path

from rowcast.errors import RowcastError
from rowcast.models.catalog import (
    Catalog,
    Reading,
    catalog_of,
    read_catalog,
    read_file,
)
from rowcast.settings import Settings

EVERY = 2.0  # seconds

Stamp = tuple[str, int, int, int, int]


def stamp_of(path: Path) -> Stamp:
    """Return what changes when the file at a path is written or replaced."""
    try:
        real = path.resolve()
        found = real.stat()
    except (OSError, RuntimeError):
        return str(path), 0, 0, -1, 0
    return str(real), found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


class CatalogWatch:
    """The catalog of a running server."""

    def __init__(self, settings: Settings, catalog: Catalog) -> None:
        self._settings = settings
        self.catalog = catalog  # the last valid one
        self.problem = ""  # empty: the last change was applied
        self._stamp: Stamp | None = None  # of the file when it was read
        self._reading = Reading()  # of the file then
        self._seen = catalog  # at the last look
        self._next = 0.0

    def poll(self, now: float) -> Catalog | None:
        """Return the new catalog if there is one. Looks at most every `EVERY` seconds."""
        if self._settings.models is None or now < self._next:
            return None
        self._next = now + EVERY
        was_read = self._read(self._settings.models)
        return self._look(changed=was_read and self._reading.entries != self.catalog.entries)

    def reload(self) -> Catalog | None:
        """Read everything now; return the new catalog if there is one."""
        self._stamp = None
        if self._settings.models is not None:
            self._read(self._settings.models)
        return self._look(changed=True)

    def _read(self, file: Path) -> bool:
        """Read the file if it has changed; return True then."""
        stamp = stamp_of(file)
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        self._reading = read_file(file)
        return True

    def _look(self, *, changed: bool) -> Catalog | None:
        """Return the catalog if it is new. Unless entries `changed`, two looks have to find it."""
        self.problem = ""
        try:
            found = self._catalog()
        except (RowcastError, OSError) as error:
            self.problem = str(error)
            return None
        seen, self._seen = self._seen, found
        if found == self.catalog or (found != seen and not changed):
            return None
        self.catalog = found
        return found

    def _catalog(self) -> Catalog:
        if self._settings.models is None:
            return read_catalog(self._settings)
        return catalog_of(self._reading, self._settings)
