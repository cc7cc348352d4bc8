"""Entry of the proxy: `python proxy/proxy.py` from the root, `python proxy.py` in this folder.

It only finds its packages and passes the command line on; `rowcast_proxy` has the map of the
modules.
"""

import sys
from pathlib import Path

_HERE = Path(__file__).resolve().parent
# The source tree has the shared packages there (`rowcast_http`, `rowcast_metrics` and others); the
# server uses them too, and pip installs them.
_SHARED = _HERE.parent / "inference-api"
sys.path[:0] = [str(_HERE), str(_SHARED)]

from rowcast_proxy.listening.serving import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
