"""Runs one backend in this process: in a fork of the launcher, or alone.

A backend that refuses its settings ends with status 2 after one line on standard error.
"""

import signal
import sys
from functools import partial
from types import FrameType

from rowcast.backend.decode_backend import DecodeBackend, Limits
from rowcast.backend.placement import Placement
from rowcast.backend.policies import Policies
from rowcast.backend.prefixes.prefix_folder import PrefixFolder
from rowcast.backend.prefixes.prefix_placement import prefix_placement
from rowcast.backend.warm_up import WarmUp
from rowcast.engine.engine import Engine
from rowcast.engine.loading.free_memory import prefix_memory
from rowcast.engines import MakeEngine, prepare_engine
from rowcast.errors import RowcastError
from rowcast.launch.exit_status import REFUSED
from rowcast.launch.heartbeat import Heartbeat
from rowcast.launch.reports import NoReports, Reports, Serving, Stage
from rowcast.settings import Settings
from rowcast.transport.carriers import carrier


def run_backend(
    settings: Settings,
    url: str,
    make_engine: MakeEngine,
    heartbeat: Heartbeat | None = None,
    *,
    replaces_killed: bool = False,
    reports: Reports | None = None,
    warm_up: WarmUp | None = None,
) -> int:
    """Run one backend in this process until it is stopped; return an exit status."""
    beat = (heartbeat or Heartbeat()).beat
    reports = reports or NoReports()

    def load_engine() -> Engine:
        reports.send(Stage("reads the weights"))
        engine = make_engine()
        reports.send(Stage("probes the machine"))
        return engine

    try:
        port = carrier(url).listen()
        limits = Limits(settings.waiting_line, settings.reply_seconds)
        backend = DecodeBackend(
            port,
            load_engine,
            limits,
            policies=Policies(placement=partial(_placement, settings)),
            replaces_killed=replaces_killed,
            warm_up=warm_up,
        )
    except (RowcastError, OSError) as error:
        return refuse(error, reports)

    def stop(_signal: int, _frame: FrameType | None) -> None:
        backend.stop()

    signal.signal(signal.SIGTERM, stop)
    signal.signal(signal.SIGINT, stop)
    status = backend.status()
    reports.send(Serving(status.fingerprint, status.context_length))
    backend.run(beat)
    return 0


def run_backend_alone(settings: Settings, url: str) -> int:
    """Run a backend without a launcher."""
    try:
        make_engine = prepare_engine(settings)
    except RowcastError as error:
        return refuse(error)
    warm_up = WarmUp(settings.warm_rows, settings.warm_tokens)
    return run_backend(settings, url, make_engine, warm_up=warm_up)


def _placement(settings: Settings, engine: Engine) -> Placement:
    """Return the placement, with the store of prefixes and its folder. Raises RowcastError."""
    cache = engine.rows * engine.context_length * engine.token_bytes
    limit = prefix_memory(settings.prefix_memory, cache) if cache else 0
    if not (settings.prefix_folder and limit):
        return prefix_placement(engine, limit)
    folder = PrefixFolder(settings.prefix_folder, engine.fingerprint, engine.token_bytes, limit)
    return prefix_placement(engine, limit, folder)


def refuse(error: Exception, reports: Reports | None = None) -> int:
    """Report why a backend cannot start; return the exit status."""
    if reports is not None:
        reports.refused(error)
    sys.stderr.write(f"rowcast: the backend cannot start: {error}\n")
    return REFUSED
