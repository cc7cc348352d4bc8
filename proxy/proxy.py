"""Entry of the proxy: `python proxy/proxy.py` from the root, `python proxy.py` in this folder.

It only passes the command line on; `rowcast_proxy` has the map of the modules.
"""

import sys

from rowcast_proxy.listening.serving import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
