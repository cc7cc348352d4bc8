"""What runs in a fork of the supervisor: the launcher of one build.

    needs ──report──▶ wait for the grant ──▶ prepare the engine ──▶ Launcher

Nothing is loaded, and no library that loads models is imported, before the memory is granted.
"""

import signal
import sys

from rowcast.engines import needs_of, prepare_engine
from rowcast.errors import RowcastError
from rowcast.launch.backend_process import refuse
from rowcast.launch.launcher import Launcher
from rowcast.launch.reports import Needs, Reports, Stage
from rowcast.settings import Settings


def run_launcher(settings: Settings, url: str, reports: Reports) -> int:
    """Run the launcher of one build until it is stopped; return an exit status."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))  # until the launcher handles it
    try:
        needs = needs_of(settings)
        reports.send(Needs(needs.size, needs.arithmetic))
        if needs.kv_memory:
            settings = settings.replaced(kv_memory=needs.kv_memory)
        reports.await_grant()
        reports.send(Stage("prepares the weights"))
        launcher = Launcher(settings, url, prepare_engine(settings), reports)
        signal.signal(signal.SIGTERM, launcher.stop)
        return launcher.run()
    except EOFError:
        return 0
    except RowcastError as error:
        return refuse(error, reports)
