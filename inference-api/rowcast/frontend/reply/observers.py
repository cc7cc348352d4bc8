"""Observers of replies, called when each begins and ends: the log, and any others registered.

    begin   the backend has accepted the reply
    end     its stream is closed; also for a reply that was refused, which never began

An observer is called on the request's thread, between two events of its stream, so it must be
quick. One that raises is logged, and harms no reply. To register one, add it to `OBSERVERS`.
"""

import logging
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from typing import Protocol

from rowcast.frontend.reply.reply_outcome import Outcome
from rowcast.frontend.reply.text import ReplyText
from rowcast.frontend.reply.trace import ReplyTrace
from rowcast.frontend.request.prompt import Prompt
from rowcast.frontend.request.request import Request
from rowcast.frontend.sessions.choice import Choice
from rowcast.wire import Submit
from rowcast_telemetry.log_lines import Fields

_log = logging.getLogger("rowcast.request")


class Observer(Protocol):
    """Sees the beginning and the end of every reply."""

    def begin(self, request: Request, prompt: Prompt, submit: Submit, /) -> None: ...

    def end(
        self, request: Request, prompt: Prompt, submit: Submit, outcome: Outcome, /
    ) -> None: ...


class ReplyLog:
    """Writes one line to the log at a reply's end: ids and counts, never text."""

    def begin(self, request: Request, prompt: Prompt, submit: Submit, /) -> None:
        """Log nothing."""

    def end(self, request: Request, prompt: Prompt, submit: Submit, outcome: Outcome, /) -> None:
        opened = outcome.times.opened
        fields = Fields(
            request=request.id,
            session=submit.session,
            team=request.caller.team,
            token_id=request.caller.token_id,
            dialect=prompt.dialect,
            prompt_tokens=len(prompt.tokens),
            cached_tokens=outcome.cached_tokens,
            reply_tokens=outcome.tokens,
            first_ms=(outcome.first - opened) * 1000 if outcome.first else None,
            total_ms=(outcome.ended - opened) * 1000,
            reason=outcome.reason,
        )
        if request.span is not None:
            fields["trace"] = request.span.context.trace
        _log.info("%s", fields)


OBSERVERS: tuple[Observer, ...] = (ReplyLog(), ReplyTrace())


class Observation:
    """The replies to one request, as their observers see them."""

    def __init__(
        self,
        observers: Sequence[Observer],
        request: Request,
        prompts: Sequence[Prompt],
        choices: Sequence[Choice],
    ) -> None:
        """`prompts`: those of the choices, one each."""
        self._observers = observers
        self._request = request
        self._prompts = prompts
        self._choices = choices
        self._accepted = False

    def begin(self) -> None:
        """Report that all replies were accepted."""
        self._accepted = True
        for prompt, choice in zip(self._prompts, self._choices, strict=True):
            for observer in self._observers:
                with _harmless(observer):
                    observer.begin(self._request, prompt, choice.submit)

    def end(self, reply: ReplyText) -> None:
        """Report how a reply ended."""
        ending, choice = reply.ending, reply.choice
        outcome = Outcome(
            reason=ending.reason if ending else "cancelled",
            tokens=ending.tokens if ending else len(choice.tokens),
            cached_tokens=choice.cached or 0,
            computed=len(choice.tokens) - choice.known if choice.times.seated else 0,
            times=choice.times,
            accepted=self._accepted,
            first=reply.first,
            ended=time.monotonic(),
        )
        for observer in self._observers:
            with _harmless(observer):
                observer.end(self._request, self._prompts[choice.at], choice.submit, outcome)


@contextmanager
def _harmless(observer: Observer) -> Iterator[None]:
    """Log what an observer raises."""
    try:
        yield
    except Exception:  # noqa: BLE001  # whatever it is, the reply must not suffer
        _log.exception("an observer failed: %s", type(observer).__name__)
