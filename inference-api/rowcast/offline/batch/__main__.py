"""`python -m rowcast.offline.batch`, which is `rowcast batch`."""

import signal
import sys
from collections.abc import Sequence

from rowcast.errors import RowcastError
from rowcast.offline.batch.options import read_options
from rowcast.offline.batch.run import run

REFUSED, INTERRUPTED = 2, 130


def main(arguments: Sequence[str]) -> int:
    """Run the command; return its exit status."""
    options = read_options(arguments)
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    try:
        done = run(options)
    except RowcastError as error:
        sys.stderr.write(f"rowcast: {error}\n")
        return REFUSED
    except KeyboardInterrupt:
        sys.stderr.write("rowcast: interrupted; the same command continues\n")
        return INTERRUPTED
    sys.stderr.write(f"{done}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
