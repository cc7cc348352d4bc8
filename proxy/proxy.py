"""Entry of the proxy: `python proxy/proxy.py` from the root, `python proxy.py` in this folder.

It only hands the command line over; what the proxy is made of is mapped in `rowcast_proxy`.
"""

import sys

from rowcast_proxy.listening.serving import main

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
