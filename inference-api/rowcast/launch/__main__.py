"""`python -m rowcast.launch`: run the launcher at BACKEND_SOCKET, for gunicorn's master."""

import contextlib
import os
import signal
import sys

from rowcast.engines import prepare_engine
from rowcast.errors import RowcastError
from rowcast.launch.backend_process import REFUSED, refuse
from rowcast.launch.launcher import BROKEN, Launcher
from rowcast.log import configure
from rowcast.parent_death import die_with_parent
from rowcast.settings import read_settings
from rowcast.transport.carriers import UnknownCarrier, carrier
from rowcast.transport.ports import Carrier


def main() -> int:
    """Run the launcher at BACKEND_SOCKET; remove its folder at the end."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    die_with_parent(signal.SIGTERM, int(os.environ.get("ROWCAST_PARENT", os.getppid())))
    settings = read_settings()
    configure(settings.level)
    url = settings.backend_socket
    if url is None:
        sys.stderr.write(
            "rowcast: set BACKEND_SOCKET, or start with gunicorn.conf.py, which sets it\n"
        )
        return REFUSED
    try:
        channel = carrier(url)
    except UnknownCarrier as error:
        return refuse(error)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # while nothing is served yet
    status = 1
    try:
        launcher = Launcher(settings, url, prepare_engine(settings))
        signal.signal(signal.SIGTERM, launcher.stop)
        status = launcher.run()
    except RowcastError as error:
        status = refuse(error)
    finally:
        _leave(channel, status)
    return status


def _leave(channel: Carrier, status: int) -> None:
    """Remove what the last backend left behind; note for gunicorn if the launcher gave up."""
    channel.remove()
    if channel.folder is None:
        return
    if status in {REFUSED, BROKEN}:  # gunicorn may miss an exit status
        (channel.folder / "gave-up").write_text(str(status))
    with contextlib.suppress(OSError):
        channel.folder.rmdir()


if __name__ == "__main__":
    sys.exit(main())
