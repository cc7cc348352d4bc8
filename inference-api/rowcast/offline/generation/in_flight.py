"""The requests in flight: enough of them that all rows are busy, and never more.

    add      put a request in the queue
    submit   submit what fits
    turn     the same, and read what has arrived; return the requests with news
    close    end all that is left, and free its rows

One thread, or one event loop, uses a flow. `arrived` is set by the demultiplexer's thread whenever
a turn is worth taking. A decoder that is restarted in between gets the rest of each reply to
compute; a refusal for lack of room is tried again.
"""

import itertools
import math
import threading
import time
import uuid
from collections import deque
from collections.abc import Iterator

from msgspec import structs

from rowcast.errors import RowcastError, Unavailable
from rowcast.frontend.reply.text import Place, ReplyText
from rowcast.frontend.request.identity import Caller
from rowcast.frontend.request.prompt import Prompt
from rowcast.frontend.sessions.choice import Choice, brief_lock, refusal
from rowcast.offline.generation.prepared import Prepared, named
from rowcast.offline.runtime import Runtime
from rowcast.text.tokens.shown_tokens import decoder_for
from rowcast.wire import Rejected

MOST = 256  # replies in flight: those of 32 rows, and enough that no row waits for the next
RETRY_SECONDS, LOOK_SECONDS = 0.05, 1.0


class Reply:
    """One reply in flight, and what was read of it."""

    def __init__(self, source: ReplyText) -> None:
        self.source = source
        self.text = ""
        self.places: list[Place] = []

    @property
    def ended(self) -> bool:
        return self.source.ending is not None

    @property
    def tokens(self) -> list[int]:
        """The tokens that were read."""
        return self.source.choice.tokens[: self.source.tokens]

    def read(self) -> bool:
        """Read what has arrived; return True if there was anything. Raises if it was refused."""
        events = self.source.arrived()
        for event in events:
            if isinstance(event, Rejected):
                raise refusal(event)
        self.text += self.source.read(events)
        self.places += self.source.places()
        if self.ended:
            self.source.close()
        return bool(events)


class Flight:
    """One request, from when it is added until it has ended."""

    def __init__(self, name: str, request: Prepared) -> None:
        self.name = name
        self.request = request
        self.replies: list[Reply] = []
        self.failure: RowcastError | None = None
        self.aborted = False

    @property
    def size(self) -> int:
        """The number of its replies."""
        return self.request.recipe.candidates

    @property
    def finished(self) -> bool:
        """True if nothing more will be read."""
        submitted = bool(self.replies) and all(reply.ended for reply in self.replies)
        return submitted or self.aborted or self.failure is not None

    def read(self, *, whole: bool) -> bool:
        """Read its replies; return True if there was news. `whole`: each only once it has ended."""
        later = whole and not self.request.recipe.stop
        unread = [
            reply
            for reply in self.replies
            if not reply.ended and not (later and not reply.source.choice.ended)
        ]
        news = [reply.read() for reply in unread]
        for reply in unread:
            ending = reply.source.ending
            if ending is not None and not ending.whole:
                self.failure = named(ending.failure, self.request.name)
        return any(news)

    def close(self) -> None:
        """End its replies, and free their rows."""
        for reply in self.replies:
            reply.source.close()


class Flow:
    """The requests of one caller."""

    def __init__(self, runtime: Runtime, arrived: threading.Event, *, whole: bool) -> None:
        """`whole`: nobody reads a reply before its end."""
        self._runtime = runtime
        self._sessions = runtime.served.sessions
        self._tokenizer = runtime.served.tokenizer
        self._arrived = arrived
        self._whole = whole
        self.behind = False  # the last turn was too short to read everything
        self._waiting: deque[Flight] = deque()
        self._flying: dict[str, Flight] = {}
        self._count = 0  # of the replies in flight
        self._session_prefix = uuid.uuid4().hex
        self._numbers = itertools.count()

    @property
    def idle(self) -> bool:
        """True if nothing is in flight."""
        return not self._waiting and not self._flying

    @property
    def has_room(self) -> bool:
        """True if another request could be submitted."""
        return not self._waiting and self._count < MOST

    @property
    def patience(self) -> float:
        """Seconds after which a turn is due even if nothing has arrived."""
        return RETRY_SECONDS if self._waiting else LOOK_SECONDS

    def add(self, flight: Flight) -> None:
        """Put a request in the queue."""
        self._waiting.append(flight)

    def turn(self, seconds: float = math.inf) -> list[Flight]:
        """Submit what fits, and read what has arrived; return the requests with news.

        After `seconds` it stops; the next turn begins with what was not read (`behind`).
        """
        self._runtime.check()
        limit = time.monotonic() + seconds
        self.submit(limit)
        news = []
        for name, flight in list(self._flying.items()):
            self.behind = time.monotonic() > limit
            if self.behind:
                break
            self._flying[name] = self._flying.pop(name)  # to the end
            if self._has_news(flight):
                news.append(flight)
        return news

    def abort(self, flight: Flight) -> None:
        """End a request for its reader."""
        flight.aborted = not flight.finished
        self._forget(flight)

    def close(self) -> None:
        """End everything."""
        self._waiting.clear()
        for flight in list(self._flying.values()):
            self._forget(flight)

    def submit(self, limit: float = math.inf) -> None:
        """Submit the waiting requests that fit, until a time."""
        while self._waiting and self._fits(self._waiting[0]):
            if time.monotonic() > limit:
                return
            flight = self._waiting[0]
            session = f"{self._session_prefix}-{next(self._numbers)}"
            choices = list(self._choices(flight.request.prompt, session))
            try:
                self._sessions.submit(choices)
            except Unavailable:  # the decoder is being restarted, or other callers fill its line
                return
            self._waiting.popleft()
            self._count += flight.size
            flight.replies = [Reply(self._text_of(choice, flight)) for choice in choices]
            self._flying[flight.name] = flight

    def _choices(self, prompt: Prompt, session: str) -> Iterator[Choice]:
        """Yield the choices of a prompt, which share it on the wire. All prompts have one owner."""
        lock = brief_lock()
        submit = self._runtime.served.submit_of(prompt, Caller())
        count = len(prompt.choices)
        for choice in prompt.choices:
            sent = structs.replace(submit, session=session, choice=choice, choices=count)
            yield Choice(sent, self._arrived, lock, choice)

    def _fits(self, flight: Flight) -> bool:
        return self._count + flight.size <= MOST or not self._flying

    def _text_of(self, choice: Choice, flight: Flight) -> ReplyText:
        prompt = flight.request.prompt
        decoder = decoder_for(self._tokenizer, prompt.shown)
        return ReplyText(choice, decoder, prompt.stop, self._end)

    def _end(self, reply: ReplyText) -> None:
        self._sessions.end_choice(reply.choice)

    def _has_news(self, flight: Flight) -> bool:
        try:
            news = flight.read(whole=self._whole)
        except Unavailable:  # refused for lack of room
            self._forget(flight)
            flight.replies = []
            self._waiting.appendleft(flight)
            return False
        except RowcastError as refused:
            flight.failure, news = named(refused, flight.request.name), True
        if flight.finished:
            self._forget(flight)
        return news

    def _forget(self, flight: Flight) -> None:
        flight.close()
        if self._flying.pop(flight.name, None) is not None:
            self._count -= flight.size
        elif flight in self._waiting:
            self._waiting.remove(flight)
