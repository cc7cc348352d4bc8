"""`python -m rowcast.launch`: run the supervisor at ROWCAST_MODELS_SOCKET, for gunicorn's master.

The folder of that socket has

    models.sock        the supervisor's socket, for frontends
    NAME-ID.sock       a backend's socket
    supervisor.json    what a supervisor leaves to its successor
    gave-up            the exit status of a server that cannot serve
    lock               the master's; while it is locked, no server that starts removes the folder
"""

import contextlib
import gc
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from rowcast.errors import RowcastError
from rowcast.launch.backend_process import refuse
from rowcast.launch.exit_status import GIVEN_UP, REFUSED
from rowcast.launch.fleet.fleet import Fleet
from rowcast.launch.fleet.room import Room
from rowcast.launch.launcher_process import run_launcher
from rowcast.launch.memory import memory_for_models
from rowcast.launch.saved_state import FILE, SavedState, saved_state
from rowcast.launch.supervisor import Supervisor
from rowcast.log import configure
from rowcast.models.build import Build
from rowcast.models.catalog import Catalog, read_catalog
from rowcast.models.watch import CatalogWatch
from rowcast.parent_death import die_with_parent
from rowcast.settings import Settings, read_settings
from rowcast.transport.socket_folder import LONGEST_PATH
from rowcast.transport.streams import listen

PATH = "ROWCAST_MODELS_SOCKET"
LOCK = "lock"  # a file that gunicorn.conf.py makes
LONGEST_NAME = 24  # characters of a model's name in a socket's path


def main() -> int:
    """Run the supervisor until it is stopped; remove its folder at the end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent(signal.SIGTERM, int(os.environ.get("ROWCAST_PARENT", os.getppid())))
    settings = read_settings()
    configure(settings.level, settings.log_format)
    path = os.environ.get(PATH)
    if not path:
        sys.stderr.write(f"rowcast: set {PATH}, or start with gunicorn.conf.py, which sets it\n")
        return REFUSED
    status = 1
    try:
        status = _supervise(settings, Path(path))
    except RowcastError as error:
        status = refuse(error)
    finally:
        _leave(Path(path), status)
    gc.freeze()  # as in `HttpWorker.run`
    return status


def _supervise(settings: Settings, path: Path) -> int:
    saved = saved_state(path.parent)
    catalog = _catalog(settings, saved)
    memory = saved.memory if saved else memory_for_models(settings)
    room = Room(memory, alone=settings.models is None)

    def save(catalog: Catalog) -> None:
        SavedState(catalog.builds, memory).save(path.parent)

    if settings.models is not None:
        settings = settings.replaced(models_memory=memory)  # which bounds the needs of each
    return Supervisor(
        settings,
        listen(str(path)),
        Fleet(room, _urls(path.parent)),
        CatalogWatch(settings, catalog),
        run_launcher,
        save=save,
    ).run()


def _catalog(settings: Settings, saved: SavedState | None) -> Catalog:
    """Return the catalog of the settings; if these are wrong, that of the predecessor."""
    try:
        return read_catalog(settings)
    except RowcastError:
        if saved is None:
            raise
        return Catalog(saved.builds)


def _urls(folder: Path) -> Callable[[Build], str]:
    """Return a function that returns the path of a build's backend."""

    def url_of(build: Build) -> str:
        name, end = re.sub(r"[^A-Za-z0-9._-]", "_", build.name), f"-{build.id}.sock"
        room = LONGEST_PATH - len(os.fsencode(folder / end))
        return str(folder / f"{name[: max(0, min(room, LONGEST_NAME))]}{end}")

    return url_of


def _leave(path: Path, status: int) -> None:
    """Remove the files of this server; leave gunicorn a note if the server cannot serve."""
    folder = path.parent
    orphaned = os.getppid() != int(os.environ.get("ROWCAST_PARENT", os.getppid()))
    locks = [folder / LOCK] if orphaned else []  # of the master, which was killed
    for each in (*folder.glob("*.sock"), *folder.glob(f"{FILE}*"), *locks):
        each.unlink(missing_ok=True)
    if status in GIVEN_UP:  # gunicorn may miss an exit status
        (folder / "gave-up").write_text(str(status))
    with contextlib.suppress(OSError):
        folder.rmdir()


if __name__ == "__main__":
    sys.exit(main())
