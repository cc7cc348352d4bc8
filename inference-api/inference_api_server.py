"""Entry: the server. `create_server()` for gunicorn, or run this file to have gunicorn started.

    gunicorn --config gunicorn.conf.py
    python inference-api/inference_api_server.py --port 7000

Composes a frontend out of settings, the way to the backend and a tokenizer; gunicorn.conf.py has
the backend started.
"""

import os
import sys
from pathlib import Path

from flask import Flask
from gunicorn.arbiter import Arbiter

from rowcast.frontend.app import create_app
from rowcast.frontend.clients import ClientWatch
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.sessions import Sessions
from rowcast.log import configure
from rowcast.settings import SCRIPTED, Settings, read_settings
from rowcast.text.chat import ChatTemplate
from rowcast.text.hub_tokenizer import HubTokenizer
from rowcast.text.tokenizer import ScriptedTokenizer, Tokenizer
from rowcast.transport.unix_socket import UnixFrontendPort

ROOT = Path(__file__).resolve().parent.parent


def create_server() -> Flask:
    """The server, with settings from the environment."""
    return build(read_settings())


def build(settings: Settings) -> Flask:
    """One frontend process, connected and running."""
    configure(settings.level)
    path = settings.backend_socket
    if path is None:
        sys.exit("rowcast: BACKEND_SOCKET is not set; start the server with gunicorn.conf.py")
    sessions = Sessions(
        lambda: UnixFrontendPort(path),
        silence_seconds=settings.silence_seconds,
        recovery_seconds=settings.recovery_seconds,
    )
    tokenizer, chat = _text(settings)
    clients = ClientWatch(settings.client_seconds)
    frontend = Frontend(settings, sessions, tokenizer, clients, chat)
    frontend.start()
    return create_app(frontend)


def run(app: str, settings: Settings) -> None:
    """Become gunicorn, serving `app`."""
    os.environ.update(settings.environment())
    config = str(ROOT / "gunicorn.conf.py")
    command = [sys.executable, "-m", "gunicorn", "--config", config, app]
    os.execv(sys.executable, command)  # noqa: S606  # no shell is wanted


def _text(settings: Settings) -> tuple[Tokenizer, ChatTemplate]:
    """How the model's text is read and written."""
    scripted = settings.served_model == SCRIPTED
    model = None if scripted else settings.served_model
    try:
        tokenizer = HubTokenizer.of(model) if model else ScriptedTokenizer()
        return tokenizer, ChatTemplate.of(model, settings.chat_template)
    except Exception as error:  # noqa: BLE001  # the library raises nothing narrower
        what = "no tokenizer or chat template for MODEL"
        sys.stderr.write(f"rowcast: {what} {settings.served_model!r}: {error}\n")
        sys.exit(Arbiter.APP_LOAD_ERROR)  # so that gunicorn gives up instead of trying for ever


if __name__ == "__main__":
    run("inference_api_server:create_server()", read_settings(sys.argv[1:]))
