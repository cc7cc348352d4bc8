"""`python -m rowcast.offline.decoder_process`: keep one decoder alive, for the program around it.

Runs a launcher for the model in the settings, as the server's supervisor does. Ends with its
parent. If the parent stops it or ends, it removes the folder that the two share; otherwise the
parent reads in that folder why it has ended.
"""

import os
import shutil
import signal
import sys
from pathlib import Path

from rowcast.engines import prepare_engine
from rowcast.errors import RowcastError
from rowcast.launch.backend_process import refuse
from rowcast.launch.forked import name_process
from rowcast.launch.launcher import Launcher
from rowcast.launch.reports import NoReports
from rowcast.log import configure
from rowcast.parent_death import die_with_parent
from rowcast.serving.child_process import PARENT
from rowcast.settings import read_settings


def main() -> int:
    """Run the launcher until it is stopped; return an exit status."""
    parent = int(os.environ.pop(PARENT))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # until the launcher handles it
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    socket = os.environ["BACKEND_SOCKET"]
    status: int = 1
    try:
        die_with_parent(signal.SIGTERM, parent)
        status = _launch(socket)
    except RowcastError as error:
        status = refuse(error)
    except SystemExit as stopped:
        status = int(stopped.code or 0)
    finally:
        if not status:
            shutil.rmtree(Path(socket).parent, ignore_errors=True)
    return status


def _launch(socket: str) -> int:
    settings = read_settings()
    configure(settings.level, settings.log_format)
    name_process(settings.short_name)
    launcher = Launcher(settings, socket, prepare_engine(settings), NoReports())
    signal.signal(signal.SIGTERM, launcher.stop)
    return launcher.run()


if __name__ == "__main__":
    sys.exit(main())
