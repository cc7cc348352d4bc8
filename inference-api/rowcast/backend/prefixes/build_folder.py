"""The folder of one build below PREFIX_FOLDER: private, and locked while a backend uses it.

    hold             creates and locks it; any number of backends may share the lock
    sweep            removes the folders of builds that no server has used for UNUSED_SECONDS
    create_part      creates a file that is locked while it is written
    remove_parts     removes those that nobody writes any more: their writers were killed

Only folders that hold nothing but our files are removed, and none that a backend has locked, in
whichever server or container it runs. On a file system without locks, all of them stay, and so do
unfinished files.
"""

import contextlib
import fcntl
import logging
import os
import re
import stat
import time
from pathlib import Path

SUFFIX, PART = ".prefix", ".part"
UNUSED_SECONDS = 30 * 86_400.0

_OURS = re.compile(rf"[0-9a-f]{{32}}({re.escape(SUFFIX)}|{re.escape(PART)})")
_TRIES, _RETRY_SECONDS = 100, 0.05
_log = logging.getLogger("rowcast.backend")


def hold(folder: Path) -> int:
    """Create a folder, lock it, and return the lock: a descriptor to close. Raises OSError."""
    for _ in range(_TRIES):
        try:
            lock = _open(folder)
        except FileNotFoundError:  # it was removed between two of these calls
            continue
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:  # it is being removed
            os.close(lock)
            time.sleep(_RETRY_SECONDS)
            continue
        except OSError:  # no locks here, and nothing is removed
            return lock
        if _is_at(lock, folder):
            os.utime(lock)
            return lock
        os.close(lock)
    raise TimeoutError(0, "it is locked by another program")


def _open(folder: Path) -> int:
    """Create a folder if there is none, and open it. Raises OSError."""
    with contextlib.suppress(FileExistsError):
        folder.mkdir(mode=0o700, parents=True)
    folder.chmod(0o700)
    return os.open(folder, os.O_RDONLY | os.O_DIRECTORY)


def release(lock: int) -> None:
    """Unlock a folder; it was in use until now."""
    with contextlib.suppress(OSError):
        os.utime(lock)
    os.close(lock)


def sweep(parent: Path) -> None:
    """Remove the folders of builds that have not been used for long."""
    before = time.time() - UNUSED_SECONDS
    for folder in [each for each in parent.iterdir() if each.is_dir() and not each.is_symlink()]:
        with contextlib.suppress(OSError):  # used, not ours to remove, or gone
            if _remove_unused(folder, before):
                _log.info("prefixes: the folder of an unused build was removed: %s", folder.name)


def create_part(path: Path) -> int:
    """Create a file and lock it; return its descriptor. Raises OSError."""
    while True:
        part = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with contextlib.suppress(OSError):  # there are no locks here
            fcntl.flock(part, fcntl.LOCK_EX)
        if _is_at(part, path):
            return part
        os.close(part)  # it was removed before it was locked


def remove_parts(folder: Path) -> None:
    """Remove unfinished files whose writers have ended."""
    for path in folder.glob(f"*{PART}"):
        with contextlib.suppress(OSError):  # it is being written, or gone
            part = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK)
            try:
                fcntl.flock(part, fcntl.LOCK_EX | fcntl.LOCK_NB)
                path.unlink()
            finally:
                os.close(part)


def _is_at(lock: int, path: Path) -> bool:
    """True unless what was locked has been removed meanwhile."""
    try:
        return os.path.samestat(os.fstat(lock), path.stat())
    except FileNotFoundError:
        return False


def _remove_unused(folder: Path, before: float) -> bool:
    """Remove a folder if it is ours, and nothing in it was used since a time. Raises OSError."""
    lock = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        names = [each.name for each in os.scandir(lock)]
        if not names or not all(map(_OURS.fullmatch, names)) or not _is_private(lock):
            return False
        if _last_used(lock, names) >= before:
            return False
        for name in names:
            os.unlink(name, dir_fd=lock)
        folder.rmdir()
    finally:
        os.close(lock)
    return True


def _is_private(lock: int) -> bool:
    found = os.fstat(lock)
    return found.st_uid == os.geteuid() and stat.S_IMODE(found.st_mode) == 0o700


def _last_used(lock: int, names: list[str]) -> float:
    files = (os.stat(name, dir_fd=lock, follow_symlinks=False) for name in names)
    return max(each.st_mtime for each in (os.fstat(lock), *files))
