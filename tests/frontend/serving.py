"""The Flask application in this process: real sessions, the memory transport, a backend thread.

`serving()` yields a `Served`, whose `client` sends requests without sockets; `spoken()` returns the
text that a reply must have.
"""

import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

from flask import Flask
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from backend.driven import RecordedEngine
from engine import rule
from processes import until
from rowcast.backend.decode_backend import DecodeBackend, Limits
from rowcast.frontend.app import create_app
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.metrics.metrics import Metrics
from rowcast.frontend.models.models import Models, fixed
from rowcast.frontend.models.supervision import FixedSupervision, Supervision
from rowcast.frontend.reply.observers import OBSERVERS, Observer
from rowcast.frontend.request.prefix_keys import NO_PREFIXES, PrefixKeys
from rowcast.frontend.resumable.disk_journal import DiskJournal
from rowcast.frontend.resumable.journal_client import JournalClient, JournalConfig
from rowcast.frontend.served_model import ServedModel
from rowcast.frontend.sessions.journal import NoJournal
from rowcast.frontend.sessions.session import decoded
from rowcast.frontend.sessions.sessions import Sessions
from rowcast.journal.journal import Journal
from rowcast.models.generation import generation_of
from rowcast.offload.inline import Inline
from rowcast.offload.loading import tools_of
from rowcast.scripted_vocabulary import TEXTS
from rowcast.settings import read_settings
from rowcast.text.chat.template import ChatTemplate
from rowcast.text.model_text import SCRIPTED_RANKING
from rowcast.text.ranking import RankForm
from rowcast.text.tokens.tokenizer import ScriptedTokenizer, Tokenizer
from rowcast.transport.memory import MemoryTransport
from rowcast.transport.ports import BackendPort
from rowcast.wire import Tokens
from rowcast_http.client_watch import ClientWatch
from rowcast_telemetry.spans import Tracer

PATIENCE = 20.0
SECRET = "a secret between proxy and server"


class Client(FlaskClient):
    """Closes a whole answer once it is read, as a server does, unless `buffered` is given."""

    def open(
        self,
        *args: Any,
        buffered: bool | None = None,
        follow_redirects: bool = False,
        **kwargs: Any,
    ) -> TestResponse:
        response = super().open(
            *args, buffered=bool(buffered), follow_redirects=follow_redirects, **kwargs
        )
        if buffered is None and response.content_length is not None:
            response.get_data()
            response.close()
        return response


@dataclass(frozen=True, slots=True)
class Served:
    """One server without sockets."""

    app: Flask
    frontend: Frontend
    backend: DecodeBackend
    engine: RecordedEngine

    @property
    def sessions(self) -> Sessions:
        """The sessions of its model."""
        return self.frontend.default.sessions

    @property
    def client(self) -> FlaskClient:
        """Return a client that sends the proxy's secret."""
        self.app.test_client_class = Client
        client = self.app.test_client()
        client.environ_base["HTTP_X_ROWCAST_PROXY_SECRET"] = SECRET
        return client

    def post(self, path: str = "/", **fields: Any) -> TestResponse:
        """Send these fields as the JSON body of a request; return the whole answer."""
        return self.client.post(path, json=fields, buffered=True)

    def stream(self, path: str = "/", client: object = None, **fields: Any) -> TestResponse:
        """Send the same, but leave the reading to the caller, who must close it.

        `client` is watched.
        """
        watched = {"gunicorn.socket": client} if client else {}
        return self.client.post(path, json=fields, buffered=False, environ_overrides=watched)

    def answer(self, **fields: Any) -> dict[str, Any]:
        """Return the JSON object that answers a prompt."""
        response = self.post(stream=False, **fields)
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.get_json()
        return found

    def await_idle(self) -> None:
        """Wait until no reply is left, in frontend or backend."""
        until(lambda: len(self.sessions) == 0, "no session is open", PATIENCE)
        until(lambda: self.backend.idle, "no row is seated", PATIENCE)


@contextmanager
def serving(
    *,
    engine: RecordedEngine | None = None,
    limits: Limits | None = None,
    settings: Mapping[str, Any] | None = None,
    tokenizer: Tokenizer | None = None,
    chat: ChatTemplate | None = None,
    ranking: RankForm = SCRIPTED_RANKING,
    journal: Path | None = None,
    observers: tuple[Observer, ...] = OBSERVERS,
    supervision: Supervision | None = None,
    between: Callable[[BackendPort], BackendPort] = lambda port: port,
    prefix_keys: PrefixKeys = NO_PREFIXES,
    tracer: Tracer | None = None,
) -> Iterator[Served]:
    """A server that is ready. On exit nothing of it remains except its journal, if it has one.

    `between`: wraps the backend's port, so that a test sees commands and changes events.
    """
    transport = MemoryTransport()
    made = engine or RecordedEngine()
    backend = DecodeBackend(between(transport.backend_port), lambda: made, limits)
    decoding = threading.Thread(target=backend.run, name="backend")

    keeping = DiskJournal(JournalClient(kept_at(journal))) if journal else NoJournal()
    chosen = read_settings(**{"model": "scripted", "proxy_secret": SECRET, **(settings or {})})
    metrics = Metrics.private(chosen.metrics_teams)
    meter = metrics.model(chosen.served_name)
    sessions = Sessions(
        transport.connect, keeping, silence_seconds=60, recovery_seconds=60, meter=meter
    )
    reading = (tokenizer or ScriptedTokenizer(), chat or ChatTemplate.plain())
    offload = Inline(tools_of(*reading))
    model = ServedModel(
        names=chosen.names,
        listed=chosen.listed_names,
        sessions=sessions,
        tokenizer=reading[0],
        offload=offload,
        chat=reading[1],
        ranking=ranking,
        generation=generation_of(chosen),
        prefix_keys=prefix_keys,
        observers=(*observers, meter),
    )
    models = Models(chosen, supervision or FixedSupervision())
    models.adopt(model)
    watch = ClientWatch(30)
    frontend = Frontend(chosen, watch, models, keeping, metrics=metrics, tracer=tracer)
    decoding.start()
    frontend.start()
    until(lambda: sessions.health().ready, "the backend is heard", PATIENCE)
    served = Served(create_app(frontend), frontend, backend, made)
    try:
        yield served
        served.await_idle()
    finally:
        frontend.close()
        backend.stop()
        decoding.join(PATIENCE)
        assert not decoding.is_alive()


def frontend_of(sessions: Sessions, **others: Sessions) -> Frontend:
    """Return a frontend, not started, whose model is scripted and has these sessions.

    `others`: those of more models, by name.
    """
    settings = read_settings(model="scripted")
    tokenizer = ScriptedTokenizer()
    models = [
        ServedModel(
            names=(name,),
            listed=(name,),
            sessions=each,
            tokenizer=tokenizer,
            offload=Inline(tools_of(tokenizer, ChatTemplate.plain())),
        )
        for name, each in {"scripted": sessions, **others}.items()
    ]
    return Frontend(settings, ClientWatch(30), fixed(settings, *models))


def kept_at(path: Path) -> JournalConfig:
    """Return the configuration of a journal that deletes nothing during a test."""
    return JournalConfig(path=path, keep_seconds=3600, reply_seconds=60, limit=1 << 26)


def journal_of(served: Served) -> DiskJournal:
    """Return the journal of a server that has one."""
    journal = served.frontend.journal
    assert isinstance(journal, DiskJournal)
    return journal


def await_written(served: Served, count: int = 1) -> None:
    """Wait until the journal has tokens of so many streams that are computed here."""
    journal = journal_of(served)

    def has_tokens(stream: str) -> bool:
        news = journal.client.do(Journal.news, stream)
        events = decoded(news.batches) if news is not None else ()
        return any(isinstance(each, Tokens) for each in events)

    def written() -> bool:
        return sum(map(has_tokens, list(journal.sync.owned))) >= count

    until(written, f"{count} streams are written", PATIENCE)


def error_of(response: TestResponse, status: int) -> str:
    """Return the message of an error, and check that it has the one form of errors."""
    assert response.status_code == status, response.text
    assert response.headers["Content-Type"] == "application/json"
    assert response.headers["X-Request-ID"]
    body = response.get_json()
    assert set(body) == {"status_code", "message"}
    assert body["status_code"] == status
    return str(body["message"])


def spoken(prompt: str, seed: int, max_tokens: int) -> str:
    """Return the text that a reply must have."""
    tokens, _ = rule.reply(prompt.encode(), seed, max_tokens)
    return b"".join(TEXTS[token] for token in tokens).decode(errors="replace")


@cache
def lasting_seed(prompt: str, at_least: int) -> int:
    """Return a seed whose reply to `prompt` does not end by itself within `at_least` tokens."""
    return next(
        seed for seed in range(10**4) if rule.reply(prompt.encode(), seed, at_least)[1] == "length"
    )
