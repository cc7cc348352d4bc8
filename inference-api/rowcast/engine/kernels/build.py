"""Compiles a C file with this machine's compiler, once, and loads it.

    source, what it includes + flags + the compiler's macros, which describe it and the CPU ──▶ key
    ──▶ folder/name-key.so

The folder belongs to this user alone. A file there is loaded only if this user owns it, no other
user can write it and the digest at its end matches, so an incomplete or foreign one never is. Files
appear complete, by renaming: several processes may build at once. Knows nothing of what the code
computes.
"""

import contextlib
import ctypes
import hashlib
import logging
import os
import re
import shutil
import stat
import subprocess
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

FLAGS = (
    "-std=gnu11",
    "-O3",
    "-ffp-contract=off",
    "-fno-math-errno",
    "-fno-strict-aliasing",
    "-fPIC",
    "-shared",
    "-pthread",
    "-w",
)
COMPILERS = ("cc", "gcc", "clang")
COMPILE_SECONDS = 120.0
DIGEST_SIZE = 32

_INCLUDED = re.compile(r'^#include "([^"]+)"', re.MULTILINE)
_log = logging.getLogger(__name__)


class KernelUnavailable(Exception):
    """There is no compiler, or it failed; the message says which."""


@dataclass(frozen=True, slots=True)
class Kernel:
    """A loaded library, and the key that identifies its build."""

    library: ctypes.CDLL
    key: str


def cache_folder() -> Path:
    """Return the default folder of builds."""
    base = os.environ.get("XDG_CACHE_HOME", "")
    return (Path(base) if Path(base).is_absolute() else Path.home() / ".cache") / "rowcast"


def load_kernel(source: Path, folder: Path | None = None, machine: str = "native") -> Kernel:
    """Return the library of `source` for a machine: from the folder, else compiled now.

    `machine` is the compiler's word for it; further options may follow.
    """
    command = _command(machine)
    key = _key(command, source)
    name = f"{source.stem}-{key}.so"
    try:
        place = private(folder or cache_folder())
    except OSError as error:
        _log.warning("kernel=%s kept=no reason=%r", source.stem, str(error))
        with tempfile.TemporaryDirectory(prefix="rowcast-") as passing:
            return Kernel(_loaded(command, source, Path(passing) / name), key)
    return Kernel(_loaded(command, source, place / name), key)


def machine_macros() -> frozenset[str]:
    """Return the names of the macros that tell which instructions the machine at hand has."""
    command = _command("native")
    lines = _macros(command, _identity(command[0])).decode(errors="replace").splitlines()
    return frozenset(line.split()[1] for line in lines if line.startswith("#define "))


def _command(machine: str) -> tuple[str, ...]:
    return _find_compiler(), *FLAGS, *f"-march={machine}".split()


def _find_compiler() -> str:
    for name in COMPILERS:
        if found := shutil.which(name):
            return found
    raise KernelUnavailable(f"no C compiler found; tried {', '.join(COMPILERS)}")


def _key(command: tuple[str, ...], source: Path) -> str:
    """Return a name for the build."""
    digest = hashlib.sha256()
    for file in files_of(source):
        digest.update(file.read_bytes())
    digest.update(" ".join(command[1:]).encode())
    digest.update(_macros(command, _identity(command[0])))
    return digest.hexdigest()[:16]


def files_of(source: Path) -> list[Path]:
    """Return a C file and all that it includes by quotes, directly or through others."""
    found: dict[Path, None] = {}
    waiting = [source.resolve()]
    while waiting:
        file = waiting.pop()
        if file not in found:
            found[file] = None
            names = _INCLUDED.findall(file.read_text())
            waiting += [(file.parent / name).resolve() for name in names]
    return list(found)


@cache
def _macros(command: tuple[str, ...], identity: Sequence[int]) -> bytes:  # noqa: ARG001
    """Return what reveals the compiler's version and instruction set; once per compiler."""
    return _run(*command, "-dM", "-E", "-x", "c", os.devnull)


def _identity(compiler: str) -> tuple[int, ...]:
    """Return what changes when another compiler takes its place."""
    try:
        found = Path(compiler).stat()
    except OSError as error:
        raise KernelUnavailable(f"{compiler} did not run: {error}") from error
    return found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns


def _loaded(command: Sequence[str], source: Path, built: Path) -> ctypes.CDLL:
    if _is_ours(built):
        with contextlib.suppress(OSError):
            return ctypes.CDLL(str(built))
    _build(command, source, built)
    try:
        return ctypes.CDLL(str(built))
    except OSError as error:
        raise KernelUnavailable(f"{built} does not load: {error}") from error


def _build(command: Sequence[str], source: Path, built: Path) -> None:
    """Compile next to the target, append a digest, rename into place."""
    try:
        handle, name = tempfile.mkstemp(dir=built.parent, prefix=built.stem, suffix=".part")
        os.close(handle)
        part = Path(name)
        try:
            _run(*command, "-o", name, str(source))
            code = part.read_bytes()
            part.write_bytes(code + hashlib.sha256(code).digest())
            part.chmod(0o700)
            part.replace(built)
        finally:
            part.unlink(missing_ok=True)
    except OSError as error:
        raise KernelUnavailable(f"cannot write {built}: {error}") from error


def _run(*command: str) -> bytes:
    try:
        done = subprocess.run(  # noqa: S603  # a compiler found on PATH, arguments of our own
            command, capture_output=True, check=True, timeout=COMPILE_SECONDS
        )
    except subprocess.CalledProcessError as error:
        output = error.stderr.decode(errors="replace").strip()
        raise KernelUnavailable(f"{command[0]} failed: {output[:500]}") from error
    except (OSError, subprocess.TimeoutExpired) as error:
        raise KernelUnavailable(f"{command[0]} did not run: {error}") from error
    return done.stdout


def private(folder: Path) -> Path:
    """Return the folder, made if missing; refuse one that is not this user's alone."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    found = folder.stat()
    if found.st_uid != os.getuid():
        raise PermissionError(f"{folder} belongs to another user")
    if found.st_mode & 0o077:
        folder.chmod(0o700)
    return folder


def _is_ours(built: Path) -> bool:
    """True if the file may be loaded: whole, a regular file, writable only by this user."""
    try:
        found = built.lstat()
        ours = stat.S_ISREG(found.st_mode) and found.st_uid == os.getuid()
        if not ours or found.st_mode & 0o022:
            return False
        content = built.read_bytes()
    except OSError:
        return False
    return hashlib.sha256(content[:-DIGEST_SIZE]).digest() == content[-DIGEST_SIZE:]
