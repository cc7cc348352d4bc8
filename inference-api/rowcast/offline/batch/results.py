"""The output file, which continues where a killed run ended.

    OUT.partial        the lines so far as they were computed, each after its number
    OUT.partial.json   what they were computed from; written before the first of them
    OUT                the whole, in the input's order

A killed run may leave half a line at the end, which is removed. Only the place of each line in
OUT.partial is held in memory.
"""

import contextlib
import fcntl
import hashlib
import json
import os
from array import array
from collections.abc import Iterable, Mapping
from io import BufferedWriter
from pathlib import Path
from typing import Any

from rowcast.errors import RowcastError
from rowcast.offline.batch.lines import count_lines

MISSING = -1
_CREATED = "created"


class CannotContinue(RowcastError):
    """The files belong to another batch or another run. The message says what to do."""


class Results:
    """The files of one output."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.partial = path.with_name(f"{path.name}.partial")
        self._about = path.with_name(f"{path.name}.partial.json")

    def finished(self, lines: int) -> bool:
        """True if the output is there. Raises CannotContinue if it has another number of lines."""
        if not self.path.exists():
            return False
        there = count_lines(self.path)
        if there != lines:
            raise CannotContinue(
                f"{self.path} exists and has {there} lines for {lines} requests; remove it, or "
                "name another output"
            )
        for rest in (self.partial, self._about):  # a run was killed before its last step
            rest.unlink(missing_ok=True)
        return True

    def open(self, about: Mapping[str, object], lines: int, created: int) -> "OpenResults":
        """Begin the output, or continue it if `about` is the same. Raises CannotContinue.

        `lines`: how many it will have. `created`: when the batch was, unless this continues one.
        """
        file = self.partial.open("ab")
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if self.partial.stat().st_size:
                created = self._created(about)
            _replace(self._about, json.dumps({**about, _CREATED: created}).encode())
            return OpenResults(self, file, lines, created)
        except BlockingIOError as error:
            file.close()
            raise CannotContinue(f"{self.partial} is being written by another run") from error
        except BaseException:
            file.close()
            raise

    def finish(self, places: Iterable[int]) -> None:
        """Write the output: the lines at these places of the partial one."""
        fresh = self.path.with_name(f"{self.path.name}.new")
        with self.partial.open("rb") as partial, fresh.open("wb") as file:
            for place in places:
                partial.seek(place)
                file.write(partial.readline().partition(b" ")[2])
            file.flush()
            os.fsync(file.fileno())
        fresh.rename(self.path)
        self.partial.unlink(missing_ok=True)
        self._about.unlink(missing_ok=True)

    def _created(self, about: Mapping[str, object]) -> int:
        """Return when the continued batch was created. Raises CannotContinue."""
        before: dict[str, Any] = {}
        with contextlib.suppress(OSError, ValueError):
            before = json.loads(self._about.read_bytes())
        changed = [name for name, value in about.items() if before.get(name) != value]
        if changed:
            raise CannotContinue(
                f"{self.partial} was begun with another {' and '.join(changed)}; remove it to "
                "begin anew"
            )
        return int(before[_CREATED])


class OpenResults:
    """An output that is being written, by this process alone."""

    def __init__(self, results: Results, file: BufferedWriter, lines: int, created: int) -> None:
        self._results = results
        self._file = file
        self._places = array("q", [MISSING]) * lines
        self.created = created
        self.done = 0  # lines that are written
        self._read()

    def missing(self, number: int) -> bool:
        """True if a line is not written."""
        return self._places[number] == MISSING

    def add(self, number: int, line: bytes) -> None:
        """Append a line; it stays, whatever happens to this process."""
        self._note(number, self._file.tell())
        self._file.write(b"%d %b" % (number, line))
        self._file.flush()

    def finish(self) -> None:
        """Write the output."""
        self._results.finish(self._places)

    def close(self) -> None:
        self._file.close()

    def _note(self, number: int, place: int) -> None:
        self.done += self._places[number] == MISSING
        self._places[number] = place

    def _read(self) -> None:
        """Find the lines that are there; remove half a line at the end."""
        place = 0
        with self._results.partial.open("rb+") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    break
                self._note(int(line.partition(b" ")[0]), place)
                place += len(line)
            file.truncate(place)
        self._file.seek(0, os.SEEK_END)


def digest_of(path: Path) -> str:
    """Return a digest of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, lambda: hashlib.blake2b(digest_size=16)).hexdigest()


def _replace(path: Path, content: bytes) -> None:
    """Write a file; readers see the old one or the new one, whole."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.write_bytes(content)
    fresh.replace(path)
