"""Several replies read as one: the choices of a request, in the order in which their text arrives.

In: the replies of one session. Out of `pieces()`: a reply's number and its text; the last piece
comes with the reply's `ending` set. No choice waits for a slower one.
"""

import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import islice

from msgspec import Struct

from rowcast.errors import RowcastError
from rowcast.frontend.reply.chunks import Patience
from rowcast.frontend.reply.text import Ending, ReplyText, one_by_one
from rowcast.frontend.request.origin import Origin
from rowcast.frontend.sessions.session import Session
from rowcast.frontend.turns import in_turns

AT_ONCE = 1024  # pieces of a round


class Piece(Struct, frozen=True):
    """Text of reply number `reply`; "" for its end alone, or for tokens without text."""

    reply: int
    text: str
    more: bool = False  # a chunk is unfinished: send it with the reply's next piece


class Replies:
    """The replies to one request."""

    def __init__(self, replies: Sequence[ReplyText], session: Session) -> None:
        self._replies = tuple(replies)
        self._session = session
        self.opened = time.monotonic()

    @property
    def origin(self) -> Origin:
        """Where the replies come from; another request's origin if they join its stream."""
        return self._session.origin

    def __len__(self) -> int:
        return len(self._replies)

    def __getitem__(self, at: int) -> ReplyText:
        return self._replies[at]

    def __iter__(self) -> Iterator[ReplyText]:
        return iter(self._replies)

    def verdict(self, timeout: float) -> None:
        """Wait until all are accepted; if one is refused, close all and raise its error."""
        limit = time.monotonic() + timeout
        try:
            for reply in self._replies:
                reply.verdict(max(0.0, limit - time.monotonic()))
        except RowcastError:
            self.close()
            raise

    def pieces(
        self, silence: float | None = None, *, singly: bool = False
    ) -> Iterator[Piece | None]:
        """Yield text as it arrives; None after each `silence` seconds without any, and at a pause.

        `singly`: a piece for every token, even if several arrive together.
        """
        unended, held, patience = self._begin(silence)
        while unended:
            self._session.arrived.clear()
            received = False
            for piece in self._round(unended, held, singly=singly):
                received = True
                patience.reset()
                yield piece
            if not (received and self._has_unread(unended)) and self._is_silent(patience):
                yield None

    def rounds(
        self, silence: float | None = None, *, singly: bool = False
    ) -> Iterator[list[Piece]]:
        """Yield lists of pieces: those of all replies that arrive together, at most `AT_ONCE`.

        A list is empty where `pieces` yields None. `singly`: as there.
        """
        unended, held, patience = self._begin(silence)
        while unended:
            self._session.arrived.clear()
            received = False
            arrived = self._round(unended, held, singly=singly)
            while pieces := list(islice(arrived, AT_ONCE)):
                received = True
                patience.reset()
                yield pieces
                if len(pieces) < AT_ONCE:
                    break
            if not (received and self._has_unread(unended)) and self._is_silent(patience):
                yield []

    def _begin(self, silence: float | None) -> tuple[dict[int, ReplyText], list[str], Patience]:
        """Return the replies that have not ended, their held text, and the patience."""
        joins = any(reply.joins for reply in self._replies)
        unended, held = dict(enumerate(self._replies)), [""] * len(self._replies)
        return unended, held, Patience(silence, joins=joins)

    def _round(
        self, unended: dict[int, ReplyText], held: list[str], *, singly: bool = False
    ) -> Iterator[Piece]:
        """Yield the new pieces of each reply; remove replies that have ended from `unended`."""
        replies = list(unended.items())
        for at, reply in in_turns(replies) if len(replies) > 1 else replies:
            if not (events := reply.arrived()):
                continue
            for part in one_by_one(events) if singly else (events,):
                held[at] += reply.read(part)
                if singly or reply.complete:
                    text, held[at] = held[at], ""
                    yield Piece(at, text, not reply.complete)
                if reply.ending is not None:
                    break
            if reply.ending is not None:
                del unended[at]

    def _has_unread(self, unended: dict[int, ReplyText]) -> bool:
        """True if there is more to read, or nothing more to wait for."""
        for reply in unended.values():
            if reply.has_unread:
                return True
        return not unended

    def _is_silent(self, patience: Patience) -> bool:
        """Wait for new events; return True if none came, and the reader must get something."""
        silent = self._interrupted() or not self._session.arrived.wait(patience.left)
        if silent:
            patience.reset()
        return silent

    def _interrupted(self) -> bool:
        """Return whether the reader must learn of a pause now: once for all interrupted replies."""
        interrupted = False
        for reply in self._replies:
            interrupted = reply.choice.was_interrupted() or interrupted
        return interrupted

    def texts(self, progress: Callable[[int], None] = lambda _: None) -> list[str]:
        """Return the full texts once all have ended. Raises ReplyFailed or NotReady if one failed.

        `progress` is called with a reply's number whenever more of it has arrived.
        """
        texts: list[list[str]] = [[] for _ in self._replies]
        for piece in self.pieces():
            if piece is not None:
                texts[piece.reply].append(piece.text)
                self.check(piece.reply)
                progress(piece.reply)
        return ["".join(each) for each in texts]

    def likeliest(self, among: Iterable[int], count: int) -> list[int]:
        """Return the `count` replies with the likeliest tokens, or all of them in their order."""
        found = list(among)
        if len(found) > count:
            found.sort(key=lambda at: -self._replies[at].mean_logprob)
        return found[:count]

    def check(self, at: int) -> None:
        """Raise ReplyFailed or NotReady if this reply has failed."""
        ending = self._replies[at].ending
        if ending is not None and not ending.whole:
            raise ending.failure

    def ending(self, at: int) -> Ending:
        """Return how an ended reply ended."""
        return self._replies[at].ending or Ending("error", 0, "the reply was closed before its end")

    def close(self) -> None:
        """Close all replies."""
        for reply in self._replies:
            reply.close()
