"""Entry: one backend alone, in a terminal of its own. Frontends find it by BACKEND_SOCKET.

python inference-api/decode_backend.py --backend-socket /tmp/rowcast.sock
BACKEND_SOCKET=/tmp/rowcast.sock gunicorn --config gunicorn.conf.py
"""

import sys

from rowcast.backend.decode_backend import DecodeBackend
from rowcast.launch.backend_process import run_backend_alone
from rowcast.log import configure
from rowcast.settings import read_settings

__all__ = ["DecodeBackend"]

DEFAULT_SOCKET = "/tmp/rowcast.sock"  # noqa: S108  # the folder is shared, the socket is not


def main() -> int:
    """Serve until Ctrl-C or SIGTERM; accepted replies are finished first."""
    settings = read_settings(sys.argv[1:])
    configure(settings.level, settings.log_format)
    url = settings.backend_socket or DEFAULT_SOCKET
    sys.stderr.write(f"the backend listens at {url}\n")
    return run_backend_alone(settings, url)


if __name__ == "__main__":
    sys.exit(main())
