"""`python -m rowcast.serving.become_gunicorn`: become gunicorn, in the child process of a `Server`.

Ends with its parent. Passes on the listening socket that the parent opened, as systemd does.
"""

import os
import signal
import sys

from rowcast.parent_death import die_with_parent
from rowcast.serving.child_process import PARENT
from rowcast.tree import tree

LISTENS = "ROWCAST_LISTENS"  # file descriptor of the listening socket
_FIRST = 3  # the descriptor at which gunicorn expects the socket


def main() -> None:
    """Replace this process by the server."""
    die_with_parent(signal.SIGTERM, int(os.environ.pop(PARENT)))
    _pass_on(int(os.environ.pop(LISTENS)))
    config = str(tree() / "gunicorn.conf.py")
    os.execv(  # noqa: S606  # no shell is wanted
        sys.executable, [sys.executable, "-P", "-m", "gunicorn", "--config", config]
    )


def _pass_on(socket: int) -> None:
    if socket == _FIRST:
        os.set_inheritable(socket, True)
    else:
        os.dup2(socket, _FIRST, inheritable=True)
        os.close(socket)
    os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}


if __name__ == "__main__":
    main()
