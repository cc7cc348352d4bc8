"""How gunicorn serves Rowcast. Settings come from the environment; docs/settings.md lists them.

The master starts the supervisor, which loads models, unless BACKEND_SOCKET names a backend that
runs elsewhere. No module of rowcast stays imported here: workers after a reload must load
fresh code.
"""

import contextlib
import errno
import fcntl
import gc
import mmap
import os
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import NoReturn

import gunicorn
from gunicorn.util import getcwd

# After SIGUSR2, `python -m gunicorn` runs as a file. Its folder would then be searched first, and
# gunicorn's `http` found instead of Python's. Links are resolved in one of the two.
_FOLDER = Path(gunicorn.__file__).resolve().parent
sys.path[:] = [folder for folder in sys.path if Path(folder).resolve() != _FOLDER]

# gunicorn would first search the folder that it is started in, whatever is there.
_STARTED_IN = getcwd()
sys.path[:] = [folder for folder in sys.path if folder not in {"", _STARTED_IN}] + [_STARTED_IN]

_TREE = Path(__file__).resolve().parent
_SOURCE = str(_TREE / "inference-api" if (_TREE / "inference-api").is_dir() else _TREE.parent)
sys.path.insert(0, _SOURCE)

from rowcast.frontend.request.prefix_keys import VARIABLE, prefix_secret  # noqa: E402
from rowcast.settings import read_settings  # noqa: E402
from rowcast.transport.socket_folder import SHORT, socket_folder  # noqa: E402
from rowcast_metrics.memory import Memory, segments_for  # noqa: E402

_settings = read_settings()
_OURS = {"rowcast", "rowcast_http", "rowcast_metrics", "rowcast_settings", "rowcast_telemetry"}

bind = f"{_settings.host}:{_settings.port}"
workers = _settings.workers
graceful_timeout = _settings.graceful_seconds
keepalive = _settings.header_seconds  # also the time limit for headers, so never 0
loglevel = _settings.level.lower()
if _settings.log_format == "json":
    logger_class = "rowcast_telemetry.gunicorn_log.JsonLogger"
_warnings = _settings.warnings
if _settings.models is not None:  # workers and the supervisor need not read local.env again
    os.environ.update(_settings.environment())

for _name in list(sys.modules):
    if _name.partition(".")[0] in _OURS:
        del sys.modules[_name]

wsgi_app = "inference_api_server:create_server()"
worker_class = "rowcast.frontend.listening.worker.RowcastWorker"
pythonpath = _SOURCE
worker_connections = _settings.connections
backlog = 2048
timeout = 60
max_requests = 0
preload_app = False
control_socket_disable = True
http_parser = "python"  # the same parser everywhere, the one that the tests attack
forwarded_allow_ips = ""  # no client's headers may change paths, schemes or addresses
forwarder_headers = ""
secure_scheme_headers = {}
proc_name = "rowcast"
if Path("/dev/shm").is_dir():  # noqa: S108  # heartbeats must not wait for a disk
    worker_tmp_dir = "/dev/shm"  # noqa: S108

_ENDING, _SUCCEEDED = 1, 2  # values of `stopping` once the server stops
_LAUNCHED = "ROWCAST_LAUNCHED_BY"
_PREFIX, _LOCK = "rowcast-", "lock"
_MODELS = "ROWCAST_MODELS_SOCKET"  # where frontends find the supervisor
_METRICS = "ROWCAST_METRICS"  # the memory in which a worker counts, and its segment there
_REMOVES = "ROWCAST_REMOVES"  # a folder that ends with this server
_REFUSED = 2  # exit status: the settings are wrong
_IN_USE = "is in use"
_PORT_SECONDS = 5  # a killed predecessor's workers may hold its port for a moment


def _remove_folders_of_killed_servers() -> None:
    """Remove the folders of servers that were killed with all their processes."""
    for place in {tempfile.gettempdir(), SHORT}:
        for folder in Path(place).glob(f"{_PREFIX}*"):
            with contextlib.suppress(OSError):  # its server lives, or it is not a server's
                _remove_if_unlocked(folder)


def _remove_if_unlocked(folder) -> None:
    """Remove a folder of this user whose lock nobody holds. Others may have put links there."""
    if folder.is_symlink() or folder.stat().st_uid != os.geteuid():
        return
    lock = os.open(folder / _LOCK, os.O_RDONLY | os.O_NOFOLLOW)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        shutil.rmtree(folder, ignore_errors=True)
    finally:
        os.close(lock)


def _lock(folder):
    """Create a folder's lock, and return the file. It gets its name once it is locked."""
    file = Path(folder, f"{_LOCK}.new").open("wb")  # noqa: SIM115  # stays open
    fcntl.flock(file, fcntl.LOCK_EX)
    Path(file.name).rename(Path(folder, _LOCK))
    return file


class _Keeper(threading.Thread):
    """Owns the supervisor: starts it, and restarts it if it ends without being stopped."""

    def __init__(self, server) -> None:
        super().__init__(name="supervisor-keeper", daemon=True)
        self._server = server
        self._stopping = False
        _remove_folders_of_killed_servers()
        self._folder = socket_folder(_PREFIX)
        self._lock = _lock(self._folder)  # until this process and its workers have ended
        self._supervisor = None
        # A worker that is forked while the supervisor starts would hold a copy of the pipe on which
        # Popen waits for the supervisor's exec, and Popen would wait as long as that worker lives.
        self._forking = threading.Lock()
        os.register_at_fork(
            before=self._forking.acquire,
            after_in_parent=self._forking.release,
            after_in_child=self._forking.release,
        )
        os.environ[_MODELS] = f"{self._folder}/models.sock"
        os.environ.pop("BACKEND_SOCKET", None)
        os.environ[_LAUNCHED] = str(os.getpid())

    def run(self) -> None:
        while not self._stopping:
            Path(self._folder).mkdir(mode=0o700, exist_ok=True)
            with self._forking:
                self._supervisor = self._launch()
            status = self._supervisor.wait()  # 0 if gunicorn has already collected it
            if self.verdict:
                os.kill(os.getpid(), signal.SIGTERM)
                return
            if not self._stopping:
                self._server.log.error("the supervisor ended (%s); restarting it", status)
                time.sleep(0.5)

    @property
    def verdict(self) -> int:
        """The status with which the supervisor gave up for good; 0 if it has not."""
        marker = Path(self._folder, "gave-up")
        return int(marker.read_text()) if marker.exists() else 0

    def _launch(self) -> subprocess.Popen:
        return subprocess.Popen(
            [sys.executable, "-P", "-m", "rowcast.launch"],
            env=os.environ | {"PYTHONPATH": _SOURCE, "ROWCAST_PARENT": str(os.getpid())},
            stdin=subprocess.DEVNULL,
            start_new_session=True,
        )

    def reload(self) -> None:
        """Make the supervisor read the file of models again."""
        if self._supervisor is not None:
            self._supervisor.send_signal(signal.SIGHUP)

    def stop(self) -> None:
        self._stopping = True
        if self._supervisor is not None:
            self._supervisor.terminate()
        self.join(timeout=15)

    def clean_up(self) -> None:
        shutil.rmtree(self._folder, ignore_errors=True)


def _announce_stop(server) -> None:
    """Tell workers, by a shared byte, that the server stops and whether another serves.

    A signal cannot say that, and a worker that was forked just now does not even receive it.
    """
    stopping = server.app.stopping = mmap.mmap(-1, 1)
    stop = server.stop

    def stop_announced(graceful: bool = True) -> None:
        alone = server.reexec_pid == server.master_pid == 0
        stopping[0] = _ENDING if alone else _SUCCEEDED
        stop(graceful)

    server.stop = stop_announced


def _await_ports(server) -> None:
    """End the server with one sentence if a port is unavailable, before a model is loaded."""
    if server.master_pid or "LISTEN_FDS" in os.environ:
        return  # the sockets come from a predecessor, or from systemd
    for host, port in (each for each in server.cfg.address if isinstance(each, tuple)):
        problem = _obstacle(host, port)
        if problem == _IN_USE:
            server.log.warning("Port %s on %s %s; waiting %s s", port, host, problem, _PORT_SECONDS)
            until = time.monotonic() + _PORT_SECONDS
            while problem == _IN_USE and time.monotonic() < until:
                time.sleep(0.1)
                problem = _obstacle(host, port)
        if problem:
            _refuse(f"port {port} on {host} {problem}", port)


def _refuse(reason, port) -> NoReturn:
    another = port + 1 if port < 65535 else 7000
    advice = f"stop the process that listens there, or choose another port: PORT={another}"
    sys.stderr.write(f"rowcast: the server cannot start: {reason}; {advice}\n")
    sys.exit(_REFUSED)


def _obstacle(host, port) -> str:
    """Return why the server cannot listen there; empty if it can."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError as error:
            in_use = error.errno == errno.EADDRINUSE
            return _IN_USE if in_use else f"is not available ({error.strerror or error})"
    return ""


def on_starting(server) -> None:
    """Start the supervisor, unless a running backend was named."""
    _await_ports(server)
    for warning in _warnings:
        server.log.warning("%s", warning)
    _announce_stop(server)
    if VARIABLE not in os.environ:  # a predecessor's, whose backends may still serve
        os.environ[VARIABLE] = prefix_secret(_settings)
    server.metrics = Memory.create(segments_for(workers))
    if server.app.app_uri.startswith("_mock"):
        os.environ["MOCK_MODEL"] = "1"
    ours = os.environ.get(_LAUNCHED)
    if os.environ.get("BACKEND_SOCKET") and not ours:
        return
    server.keeper = _Keeper(server)
    server.keeper.start()


def pre_fork(server, worker) -> None:
    """Give a worker memory for its metrics that no living worker has."""
    taken = (each.metrics_segment for each in server.WORKERS.values())
    worker.metrics_segment = server.metrics.allot(taken)


def post_fork(server, worker) -> None:
    os.environ[_METRICS] = server.metrics.handover(worker.metrics_segment)


def on_reload(server) -> None:
    """Make the supervisor read the file of models again; gunicorn itself replaces the workers."""
    keeper = getattr(server, "keeper", None)
    if keeper is not None:
        keeper.reload()


def on_exit(server) -> None:
    """Stop the supervisor, now that the workers have ended."""
    gc.freeze()  # as in `HttpWorker.run`
    if _REMOVES in os.environ and not server.reexec_pid:
        shutil.rmtree(os.environ[_REMOVES], ignore_errors=True)
    keeper = getattr(server, "keeper", None)
    if keeper is not None:
        keeper.stop()
        verdict = keeper.verdict
        keeper.clean_up()
        if verdict:
            sys.exit(verdict)
