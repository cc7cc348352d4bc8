"""Runs the proxy under gunicorn: settings in, an exit status out.

The arbiter process reads the settings and opens the port; each worker first patches the standard
library for gevent, then builds the application.
"""

import gc
import logging
import mmap
import resource
import sys
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from gunicorn.app.base import BaseApplication
from gunicorn.arbiter import Arbiter

from rowcast_http.worker import ENDING
from rowcast_metrics.memory import PRIVATE, Memory, segments_for
from rowcast_proxy.listening.worker import ProxyWorker
from rowcast_proxy.settings import ProxySettings, SettingsError, settings_table
from rowcast_telemetry.gunicorn_log import JsonLogger
from rowcast_telemetry.log_lines import JsonLines

_MOST_DESCRIPTORS: Final = 1 << 20
_LOG_FORMAT: Final = "time=%(asctime)s level=%(levelname)s %(message)s"

_log = logging.getLogger(__name__)


def main(argv: Sequence[str]) -> int:
    if list(argv) == ["--settings-table"]:
        sys.stdout.write(settings_table())
        return 0
    try:
        settings = ProxySettings.load(argv)
    except SettingsError as error:
        sys.stderr.write(f"The proxy cannot start.\n{error}\n")
        return 2
    logging.basicConfig(level=settings.log_level.upper(), handlers=[_handler(settings)])
    for warning in settings.warnings:
        _log.warning("%s", warning)
    _raise_descriptor_limit()
    GunicornProxy(settings).run()
    return 0


def _handler(settings: ProxySettings) -> logging.Handler:
    """Return what writes the log to standard error."""
    handler = logging.StreamHandler(sys.stderr)
    as_json = settings.log_format == "json"
    handler.setFormatter(JsonLines() if as_json else logging.Formatter(_LOG_FORMAT))
    return handler


class GunicornProxy(BaseApplication):  # type: ignore[misc]
    def __init__(self, settings: ProxySettings) -> None:
        self.settings = settings
        self.stopping = mmap.mmap(-1, 1)  # shared with the forked workers: see `HttpWorker`
        self.memory = Memory.create(segments_for(settings.proxy_workers))  # likewise, for metrics
        self.segment = PRIVATE  # a worker's, once it is forked
        super().__init__()

    def load_config(self) -> None:
        for name, value in gunicorn_options(self.settings).items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        """Build the application, in a worker and after monkey patching.

        Modules that open sockets are imported only here.
        """
        from jwt.warnings import InsecureKeyLengthWarning  # noqa: PLC0415

        from rowcast_proxy.app import ProxyApp  # noqa: PLC0415
        from rowcast_proxy.metrics import ProxyMetrics  # noqa: PLC0415

        # The warning is logged once at startup, in our own words.
        warnings.filterwarnings("ignore", category=InsecureKeyLengthWarning)
        return ProxyApp(self.settings, ProxyMetrics(self.memory, self.segment))

    def run(self) -> None:
        ProxyArbiter(self).run()


class ProxyArbiter(Arbiter):  # type: ignore[misc]
    def stop(self, graceful: bool = True) -> None:
        self.app.stopping[0] = ENDING
        super().stop(graceful)
        gc.freeze()  # as in `HttpWorker.run`


def gunicorn_options(settings: ProxySettings) -> dict[str, object]:
    host = f"[{settings.proxy_host}]" if ":" in settings.proxy_host else settings.proxy_host
    shared_memory = Path("/dev/shm")  # noqa: S108
    return {
        "bind": f"{host}:{settings.proxy_port}",
        "worker_class": ProxyWorker,
        "workers": settings.proxy_workers,
        "worker_tmp_dir": str(shared_memory) if shared_memory.is_dir() else None,
        "keepalive": settings.proxy_keepalive_s,
        "graceful_timeout": settings.proxy_graceful_s,
        "loglevel": settings.log_level,
        "accesslog": None,
        **({"logger_class": JsonLogger} if settings.log_format == "json" else {}),
        "control_socket_disable": True,
        "http_parser": "python",
        "http_protocols": "h1",
        "forwarded_allow_ips": "",
        "forwarder_headers": "",
        "secure_scheme_headers": {},
        "header_map": "drop",
        "proc_name": "rowcast-proxy",
        "pre_fork": _allot_segment,
        "post_fork": _take_segment,
    }


def _allot_segment(server: Any, worker: Any) -> None:
    """Give a worker memory for its metrics that no living worker has."""
    taken = (each.metrics_segment for each in server.WORKERS.values())
    worker.metrics_segment = server.app.memory.allot(taken)


def _take_segment(server: Any, worker: Any) -> None:
    server.app.segment = worker.metrics_segment


def _raise_descriptor_limit() -> None:
    """Raise the soft descriptor limit: a stream takes two, and the usual 1024 is too low."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = _MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, _MOST_DESCRIPTORS)
    resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))
