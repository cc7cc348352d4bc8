"""Makes what a frontend needs for one build: tokenizer, template, defaults, helpers and sessions.

    settings of the build, its backend's URL ──▶ a ServedModel, not started

Files are read and tokenizers parsed in a thread of the operating system, outside the event loop,
since that takes tenths of a second. It is one thread for all builds: two of them could wait for
ever for one of gevent's locks.
"""

from collections.abc import Callable

from gevent import monkey
from gevent.threadpool import ThreadPool

from rowcast.frontend.metrics.metrics import Metrics
from rowcast.frontend.reply.observers import OBSERVERS
from rowcast.frontend.request.defaults import FILE as GENERATION
from rowcast.frontend.request.defaults import Defaults, defaults_for
from rowcast.frontend.request.prefix_keys import PrefixKeys, secret_of_process
from rowcast.frontend.served_model import ServedModel
from rowcast.frontend.sessions.journal import Journal
from rowcast.frontend.sessions.sessions import Sessions
from rowcast.models.build import Build
from rowcast.models.generation import generation_of
from rowcast.offload.limits import Limits
from rowcast.offload.pool import HelperPool
from rowcast.offload.source import HelperSource
from rowcast.settings import SCRIPTED, Settings
from rowcast.text.model_text import ModelText, text_of
from rowcast.transport.carriers import carrier
from rowcast.transport.ports import FrontendPort
from rowcast_http.readable import wait_readable


class ModelMaker:
    """Makes the served models of one process."""

    def __init__(
        self, settings: Settings, journal: Journal, metrics: Metrics | None = None
    ) -> None:
        self._settings = settings
        self._journal = journal
        self._prefix_secret = secret_of_process()
        self._metrics = metrics or Metrics.private()
        self._thread = ThreadPool(1) if monkey.is_module_patched("threading") else None

    def __call__(self, build: Build, url: Callable[[], str]) -> ServedModel:
        """Make the model of a build. Raises RowcastError, OSError and ValueError."""
        own = build.settings(self._settings)
        return self.make(own.replaced(model_name=build.name), url)

    def make(self, settings: Settings, url: Callable[[], str]) -> ServedModel:
        """Make the model with these settings. Raises the same."""
        carrier(url())  # raises if there is no such carrier

        def connect() -> FrontendPort:
            return carrier(url()).connect(wait_readable)

        text, defaults = self._text_side(settings)
        meter = self._metrics.model(settings.served_name)
        return ServedModel(
            names=settings.names,
            listed=settings.listed_names,
            sessions=Sessions(
                connect,
                self._journal,
                silence_seconds=settings.silence_seconds,
                recovery_seconds=settings.recovery_seconds,
                meter=meter,
            ),
            tokenizer=text.tokenizer,
            offload=_helpers(settings),
            chat=text.chat,
            vectors=text.vectors,
            ranking=text.ranking,
            defaults=defaults,
            generation=generation_of(settings),
            prefix_keys=PrefixKeys(self._prefix_secret, settings.prefix_scope),
            observers=(*OBSERVERS, meter),
            prepares_helpers=settings.served_model != SCRIPTED,  # its users rarely need them
        )

    def _text_side(self, settings: Settings) -> tuple[ModelText, Defaults]:
        """Load the text side; under gevent, outside the event loop."""
        if self._thread is None:
            return _text_side(settings)
        found = self._thread.apply(_side_or_error, (settings,))
        if isinstance(found, Exception):
            raise found
        side: tuple[ModelText, Defaults] = found
        return side


def _side_or_error(settings: Settings) -> tuple[ModelText, Defaults] | Exception:
    """Load the text side, or return the error: gevent's pool would print one that is raised."""
    try:
        return _text_side(settings)
    except Exception as error:  # noqa: BLE001  # raised where the result is awaited
        return error


def _text_side(settings: Settings) -> tuple[ModelText, Defaults]:
    text = text_of(settings)
    return text, defaults_for(settings, text.files.words(GENERATION) if text.files else {})


def _helpers(settings: Settings) -> HelperPool:
    limits = Limits(settings.helper_seconds, settings.helper_bytes)
    source = HelperSource(limits, settings.environment())
    return HelperPool(source, quick=settings.helpers)
