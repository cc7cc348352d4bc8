"""The worker of a frontend process: `rowcast_http`'s, with the server's limits and error form.

It waits for the backend before it accepts connections. When only this worker ends, it lives until
every connection that it accepted has sent a request, had its answer with `Connection: close`, or
been idle for too long.
"""

import json
import os
import time
from types import FrameType
from typing import Any

from rowcast.errors import Overloaded
from rowcast.frontend.app import EXTENSION
from rowcast.frontend.frontend import Frontend
from rowcast.frontend.listening.early_refusal import FullLineRefusal
from rowcast_http.answers import client_error, last_answer
from rowcast_http.budget import Budget
from rowcast_http.connections import Limits
from rowcast_http.worker import ENDING, HttpWorker, Service

FIRST_STATUS_SECONDS = 2.0
READING_SECONDS = 2.0  # for requests on connections accepted just before the end
_SHOWN = 200


class RowcastWorker(HttpWorker):
    """The worker class named in gunicorn.conf.py."""

    def open(self) -> Service:
        self._await_backend()
        settings = self._frontend.settings
        secret = settings.proxy_secret
        return Service(
            limits=Limits(connections=settings.connections, heads_bytes=settings.heads_bytes),
            bodies=Budget(settings.bodies_bytes),
            no_room=self._no_room,
            early=FullLineRefusal(self._frontend, secret.get_secret_value() if secret else None),
        )

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Handle SIGTERM: whoever watches the rows connects to another worker."""
        super().handle_exit(sig, frame)
        if (app := getattr(self, "wsgi", None)) is not None:
            app.extensions[EXTENSION].dials.stop()

    def end(self) -> None:
        self._frontend.stop()

    def close(self) -> None:
        self._frontend.close()

    def is_needed(self) -> bool:
        """True while an open connection is due an answer, or may be.

        While others serve, that is every connection: a request may be on its way on it. It is
        closed after the answer, or when it has been idle for `keepalive`, as at any other time.
        """
        if self.in_flight:
            return True
        if self.stopping == ENDING:
            return self.crowd.unread and time.monotonic() < self.stopped_at + READING_SECONDS
        return self.crowd.waiting

    def _no_room(self, reason: str) -> bytes:
        self._frontend.metrics.refused("no_room")
        full = Overloaded(reason)
        body = _error_body(full.status, str(full))
        return last_answer(full.status, body, ("Retry-After", full.retry_after))

    def lost_client(self, error: OSError) -> None:
        self.log.info("dropped a client, reason=client_gone: %s", error.strerror)

    def handle_error(self, req: Any, client: Any, addr: Any, exc: BaseException) -> None:
        """Answer a request that violates HTTP."""
        status = client_error(exc)
        if not status:
            super().handle_error(req, client, addr, exc)
            return
        self.log.debug("refused a request: %s", type(exc).__name__)
        self._frontend.metrics.refused("malformed_http")
        body = _error_body(status, f"Malformed HTTP request: {str(exc)[:_SHOWN]}")
        self.answer_last(client, last_answer(status, body))

    @property
    def _frontend(self) -> Frontend:
        frontend: Frontend = self.wsgi.extensions[EXTENSION]
        return frontend

    def _await_backend(self) -> None:
        """Wait for the backend before accepting, so that other workers answer in the meantime.

        At a first start there are no others, and liveness must not wait until a model is loaded.
        """
        succeeds = "GUNICORN_PID" in os.environ  # set by gunicorn while a predecessor serves
        patience = self._frontend.settings.recovery_seconds if succeeds else FIRST_STATUS_SECONDS
        until = time.monotonic() + patience
        while not self._frontend.health().ready and time.monotonic() < until:
            self.notify()
            if self.exit_called.wait(0.02):
                return


def _error_body(status: int, message: str) -> bytes:
    return json.dumps({"status_code": status, "message": message}).encode()
