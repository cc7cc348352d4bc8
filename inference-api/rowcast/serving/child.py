"""`python -m rowcast.serving.child`: become gunicorn, in the child process of a `Server`.

Ends with its parent. A listening socket that the parent has opened is handed on as systemd would.
"""

import os
import signal
import sys

from rowcast.parent_death import die_with_parent
from rowcast.tree import tree

PARENT = "ROWCAST_SERVER_OF"  # process id
LISTENS = "ROWCAST_LISTENS"  # file descriptor of the listening socket, if there is one
_FIRST = 3  # the descriptor at which gunicorn expects it


def main() -> None:
    """Replace this process by the server."""
    die_with_parent(signal.SIGTERM, int(os.environ.pop(PARENT)))
    listens = os.environ.pop(LISTENS, "")
    if listens:
        _hand_on(int(listens))
    config = str(tree() / "gunicorn.conf.py")
    os.execv(  # noqa: S606  # no shell is wanted
        sys.executable, [sys.executable, "-P", "-m", "gunicorn", "--config", config]
    )


def _hand_on(socket: int) -> None:
    if socket == _FIRST:
        os.set_inheritable(socket, True)
    else:
        os.dup2(socket, _FIRST, inheritable=True)
        os.close(socket)
    os.environ |= {"LISTEN_PID": str(os.getpid()), "LISTEN_FDS": "1"}


if __name__ == "__main__":
    main()
