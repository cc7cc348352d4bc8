"""Private folders for Unix sockets, whose paths have a limit.

Imports only the standard library: `gunicorn.conf.py` uses it in the master.
"""

import os
import tempfile
from pathlib import Path

LONGEST_PATH = 107  # bytes of a socket's path, without the zero at the end; Linux's limit
_LONGEST_FOLDER = LONGEST_PATH - 19  # names of sockets have 19 bytes or more
SHORT = "/tmp"  # noqa: S108  # for folders if the path of another place is too long


def socket_folder(prefix: str) -> Path:
    """Create a private folder for sockets, in SHORT if TMPDIR has a long path."""
    folder = Path(tempfile.mkdtemp(prefix=prefix))
    if len(os.fsencode(folder)) <= _LONGEST_FOLDER:
        return folder
    folder.rmdir()
    return Path(tempfile.mkdtemp(prefix=prefix, dir=SHORT))
