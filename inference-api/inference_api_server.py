"""Entry: the server. `create_server()` is for gunicorn; running this file starts gunicorn.

    gunicorn --config gunicorn.conf.py
    python inference-api/inference_api_server.py --port 7000

Composes a frontend from the settings, the connection to the backend and a tokenizer;
gunicorn.conf.py starts the backend.
"""

import os
import sys
from pathlib import Path
from typing import NoReturn

from flask import Flask
from gunicorn.arbiter import Arbiter

from rowcast.errors import UnknownModel
from rowcast.frontend.app import create_app
from rowcast.frontend.frontend import Frontend, by_name
from rowcast.frontend.request.defaults import FILE as GENERATION
from rowcast.frontend.request.defaults import Defaults, defaults_of
from rowcast.frontend.resumable.disk_journal import DiskJournal
from rowcast.frontend.resumable.journal_client import JournalClient, JournalConfig
from rowcast.frontend.served_model import ServedModel
from rowcast.frontend.sessions.journal import Journal, NoJournal
from rowcast.frontend.sessions.sessions import Sessions
from rowcast.log import configure
from rowcast.offload.limits import Limits
from rowcast.offload.pool import HelperPool
from rowcast.offload.source import HelperSource
from rowcast.settings import Settings, read_settings
from rowcast.text.model_text import ModelText, text_of
from rowcast.transport.carriers import UnknownCarrier, carrier
from rowcast.transport.ports import Carrier
from rowcast.tree import tree
from rowcast_http.client_watch import ClientWatch

LAUNCHED = "ROWCAST_LAUNCHED_BY"  # in the environment of workers whose backend is the server's own


def create_server() -> Flask:
    """Create the server, with settings from the environment."""
    return build(read_settings())


def build(settings: Settings) -> Flask:
    """Build one frontend process, connected and running."""
    configure(settings.level)
    journal = _journal(settings)
    sessions = Sessions(
        _carrier(settings).connect,
        journal,
        silence_seconds=settings.silence_seconds,
        recovery_seconds=settings.recovery_seconds,
    )
    text, defaults = _of_model(settings)
    served = ServedModel(
        names=settings.names,
        listed=settings.listed_names,
        sessions=sessions,
        tokenizer=text.tokenizer,
        offload=_helpers(settings),
        chat=text.chat,
        defaults=defaults,
    )
    frontend = Frontend(settings, ClientWatch(settings.client_seconds), by_name(served), journal)
    frontend.start()
    return create_app(frontend)


def run(app: str, settings: Settings) -> None:
    """Become gunicorn, serving `app`."""
    os.environ.update(settings.environment())
    config = str(tree() / "gunicorn.conf.py")
    command = [sys.executable, "-P", "-m", "gunicorn", "--config", config, app]
    os.execv(sys.executable, command)  # noqa: S606  # no shell is wanted


def _carrier(settings: Settings) -> Carrier:
    url = settings.backend_socket
    if url is None:
        sys.exit("rowcast: BACKEND_SOCKET is not set; start the server with gunicorn.conf.py")
    try:
        return carrier(url)
    except UnknownCarrier as error:
        _refuse(error, settings)


def _journal(settings: Settings) -> Journal:
    """Return the journal of the process's sessions."""
    if settings.journal_path is None:
        return NoJournal()
    config = JournalConfig(
        path=settings.journal_path,
        keep_seconds=settings.journal_seconds,
        reply_seconds=settings.reply_seconds,
        limit=settings.journal_bytes,
    )
    return DiskJournal(JournalClient(config), settings.waiting_line)


def _helpers(settings: Settings) -> HelperPool:
    limits = Limits(settings.helper_seconds, settings.helper_bytes)
    source = HelperSource(limits, settings.environment())
    return HelperPool(source, quick=settings.helpers)


def _of_model(settings: Settings) -> tuple[ModelText, Defaults]:
    """Load the model's text side and its defaults for requests."""
    try:
        text = text_of(settings)
        return text, defaults_of(text.files.words(GENERATION) if text.files else {})
    except (UnknownModel, OSError, ValueError) as error:
        _refuse(error, settings)


def _refuse(error: Exception, settings: Settings) -> NoReturn:
    """End this worker, and make gunicorn end too instead of retrying forever."""
    sys.stderr.write(f"rowcast: the server cannot start: {error}\n")
    if LAUNCHED in os.environ and settings.backend_socket:
        Path(settings.backend_socket).with_name("gave-up").write_text("2")
    sys.exit(Arbiter.APP_LOAD_ERROR)


if __name__ == "__main__":
    run("inference_api_server:create_server()", read_settings(sys.argv[1:]))
