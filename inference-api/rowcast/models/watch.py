"""Watches the file of models and the models' files, and reads the catalog again when they change.

    watch.poll(now) ──▶ a new Catalog, or None
    watch.problem   ──▶ why the last change was not taken

It looks every `EVERY` seconds, and follows links, so that a link that is replaced is a change. A
file that is wrong changes nothing, and its problem stays until the file is right. Files of a model
that change have to be the same in two looks, since they may still be being copied. Has no thread:
whoever owns it calls it.
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
        self.catalog = catalog  # the last that was right
        self.problem = ""  # with what is there now
        self._stamp: Stamp | None = None  # of the file when it was read
        self._reading = Reading()  # what it has
        self._seen = catalog  # at the last look
        self._next = 0.0

    def poll(self, now: float) -> Catalog | None:
        """Return the new catalog if there is one. May be called as often as one likes."""
        if self._settings.models is None or now < self._next:
            return None
        self._next = now + EVERY
        written = self._read(self._settings.models)
        return self._look(changed=written and self._reading.entries != self.catalog.entries)

    def reload(self) -> Catalog | None:
        """Read everything now; return the new catalog if there is one."""
        self._stamp = None
        if self._settings.models is not None:
            self._read(self._settings.models)
        return self._look(changed=True)

    def _read(self, file: Path) -> bool:
        """Read the file if it is not the one that was read last."""
        stamp = stamp_of(file)
        if stamp == self._stamp:
            return False
        self._stamp = stamp
        self._reading = read_file(file)
        return True

    def _look(self, *, changed: bool) -> Catalog | None:
        """Return the catalog if it is new. Unless entries `changed`, it has to be seen twice."""
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
