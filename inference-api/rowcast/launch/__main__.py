"""`python -m rowcast.launch`: run the supervisor at ROWCAST_MODELS_SOCKET, for gunicorn's master.

models.sock      the supervisor's, for frontends
NAME-ID.sock     a backend's
gave-up          the status with which a server that cannot serve ends
"""

import contextlib
import os
import re
import signal
import sys
from collections.abc import Callable
from pathlib import Path

from rowcast.errors import RowcastError
from rowcast.launch.backend_process import refuse
from rowcast.launch.exit_status import GIVEN_UP, REFUSED
from rowcast.launch.fleet import Fleet
from rowcast.launch.launcher_process import run_launcher
from rowcast.launch.memory import memory_for_models
from rowcast.launch.room import Room
from rowcast.launch.supervisor import Supervisor
from rowcast.log import configure
from rowcast.models.build import Build
from rowcast.models.catalog import read_catalog
from rowcast.models.watch import CatalogWatch
from rowcast.parent_death import die_with_parent
from rowcast.settings import Settings, read_settings
from rowcast.transport.unix_socket import listen

PATH = "ROWCAST_MODELS_SOCKET"
LONGEST_NAME = 24  # characters of a model's name in a socket's path, which has 108 bytes


def main() -> int:
    """Run the supervisor until it is stopped; remove its folder at the end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent(signal.SIGTERM, int(os.environ.get("ROWCAST_PARENT", os.getppid())))
    settings = read_settings()
    configure(settings.level)
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
    return status


def _supervise(settings: Settings, path: Path) -> int:
    catalog = read_catalog(settings)
    alone = settings.models is None
    fleet = Fleet(Room(memory_for_models(settings), alone=alone), _urls(path.parent, settings))
    watch = CatalogWatch(settings, catalog)
    return Supervisor(settings, listen(str(path)), fleet, watch, run_launcher).run()


def _urls(folder: Path, settings: Settings) -> Callable[[Build], str]:
    """Return what makes the path of a build's backend."""

    def url_of(build: Build) -> str:
        if settings.backend_socket:  # until frontends read models.sock: the only model's
            return settings.backend_socket
        name = re.sub(r"[^A-Za-z0-9._-]", "_", build.name)[:LONGEST_NAME]
        return str(folder / f"{name}-{build.id}.sock")

    return url_of


def _leave(path: Path, status: int) -> None:
    """Remove what is left behind; note for gunicorn if the server cannot serve."""
    folder = path.parent
    for each in folder.glob("*.sock"):
        each.unlink(missing_ok=True)
    if status in GIVEN_UP:  # gunicorn may miss an exit status
        (folder / "gave-up").write_text(str(status))
    with contextlib.suppress(OSError):
        folder.rmdir()


if __name__ == "__main__":
    sys.exit(main())
