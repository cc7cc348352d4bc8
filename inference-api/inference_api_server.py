"""Entry: the server. `create_server()` is for gunicorn; running this file starts gunicorn.

    gunicorn --config gunicorn.conf.py
    python inference-api/inference_api_server.py --port 7000

Composes a frontend from the settings, the journal and its models: those of the supervisor, or the
one whose backend was started by hand. gunicorn.conf.py starts their processes.
"""

import os
import sys
import time
from functools import partial
from pathlib import Path
from typing import NoReturn

from flask import Flask
from gunicorn.arbiter import Arbiter

from rowcast.errors import RowcastError, UnknownModel
from rowcast.frontend.app import create_app
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.metrics.metrics import Metrics
from rowcast.frontend.models.maker import ModelMaker
from rowcast.frontend.models.models import Models, fixed
from rowcast.frontend.models.supervision import SupervisorLink
from rowcast.frontend.resumable.disk_journal import DiskJournal
from rowcast.frontend.resumable.journal_client import JournalClient, JournalConfig
from rowcast.frontend.sessions.journal import Journal, NoJournal
from rowcast.log import configure
from rowcast.models.connection import SupervisorConnection
from rowcast.settings import Settings, read_settings
from rowcast.tree import tree
from rowcast_http.client_watch import ClientWatch
from rowcast_telemetry.spans import Tracer
from rowcast_telemetry.tracing import tracer_of

LAUNCHED = "ROWCAST_LAUNCHED_BY"  # in the environment of workers whose backend is the server's own
MODELS_SOCKET = "ROWCAST_MODELS_SOCKET"  # where the supervisor of the models listens
NAMES_SECONDS = 10.0  # until the server starts without them


def create_server() -> Flask:
    """Create the server, with settings from the environment."""
    return build(read_settings())


def build(settings: Settings) -> Flask:
    """Build one frontend process, connected and running."""
    configure(settings.level, settings.log_format)
    journal = _journal(settings)
    metrics, tracer = Metrics.of(settings), _tracer(settings)
    models = _models(settings, journal, metrics)
    watch = ClientWatch(settings.client_seconds)
    frontend = Frontend(settings, watch, models, journal, metrics=metrics, tracer=tracer)
    frontend.start()
    _await_names(models, settings)
    app = create_app(frontend)
    frontend.background.start(frontend.parsing)
    return app


def _models(settings: Settings, journal: Journal, metrics: Metrics) -> Models:
    """Return the models of the supervisor, or the one whose backend was started by hand."""
    maker = ModelMaker(settings, journal, metrics)
    if path := os.environ.get(MODELS_SOCKET):
        link = SupervisorLink(partial(SupervisorConnection, path))
        return Models(settings, link, maker, journal)
    if settings.backend_socket is None:
        sys.exit("rowcast: BACKEND_SOCKET is not set; start the server with gunicorn.conf.py")
    socket = settings.backend_socket
    try:
        return fixed(settings, maker.make(settings, lambda: socket))
    except (RowcastError, OSError, ValueError) as error:
        _refuse(error, settings)


def _await_names(models: Models, settings: Settings) -> None:
    """Wait for the names of the models, and for the text side of a single one.

    With several models, requests for one whose tokenizer cannot be loaded are refused instead.
    """
    until = time.monotonic() + NAMES_SECONDS
    while not models.current and time.monotonic() < until:
        time.sleep(0.01)
    while settings.models is None and models.current and time.monotonic() < until:
        (slot, *_) = models.current
        if slot.fault:
            _refuse(UnknownModel(slot.fault), settings)
        if slot.served is not None or not slot.is_being_made:
            return
        time.sleep(0.01)


def run(app: str, settings: Settings) -> None:
    """Become gunicorn, serving `app`."""
    os.environ.update(settings.environment())
    config = str(tree() / "gunicorn.conf.py")
    command = [sys.executable, "-P", "-m", "gunicorn", "--config", config, app]
    os.execv(sys.executable, command)  # noqa: S606  # no shell is wanted


def _journal(settings: Settings) -> Journal:
    """Return the journal of the process's sessions."""
    if settings.journal_path is None:
        return NoJournal()
    config = JournalConfig(
        path=settings.journal_path,
        keep_seconds=settings.journal_seconds,
        reply_seconds=settings.reply_seconds,
        limit=settings.journal_bytes,
        result_seconds=settings.result_seconds,
    )
    return DiskJournal(JournalClient(config), settings.waiting_line)


def _tracer(settings: Settings) -> Tracer | None:
    """Return what traces requests, if traces are on."""
    return tracer_of(
        settings.traces,
        settings.otel_exporter_otlp_endpoint,
        settings.otel_exporter_otlp_headers,
        settings.otel_service_name,
        settings.otel_traces_sampler_arg,
    )


def _refuse(error: Exception, settings: Settings) -> NoReturn:
    """End this worker, and make gunicorn end too instead of retrying forever."""
    sys.stderr.write(f"rowcast: the server cannot start: {error}\n")
    socket = os.environ.get(MODELS_SOCKET) or settings.backend_socket
    if LAUNCHED in os.environ and socket:
        Path(socket).with_name("gave-up").write_text("2")
    sys.exit(Arbiter.APP_LOAD_ERROR)


if __name__ == "__main__":
    run("inference_api_server:create_server()", read_settings(sys.argv[1:]))
