"""Keeps the journal and this process's streams in sync, ten times a second while there are any.

New events of streams computed here are written; streams taken or cancelled elsewhere are ended;
followers get what the other process has written. Expired streams are swept away. While the journal
fails, only the ability to resume is lost: followers compute for themselves, and unwritten events
wait.
"""

import threading
import time
from collections.abc import Sequence

from rowcast.errors import JournalFailing, Unavailable
from rowcast.frontend.resumable.journal_client import Recorder
from rowcast.frontend.resumable.stream import Stream, encoded
from rowcast.frontend.resumable.streams import CANCELLED, TAKEN, Streams
from rowcast.frontend.turns import in_turns
from rowcast.journal.journal import SWEEP_AT_ONCE, Journal
from rowcast.journal.record import News

TICK_SECONDS = 0.1
SWEEP_SECONDS = 10.0


class Tending:
    """The thread that syncs."""

    def __init__(self, streams: Streams, recorder: Recorder) -> None:
        self._streams = streams
        self._recorder = recorder
        self._closing = False
        self._swept = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="streams", daemon=True)

    def start(self) -> None:
        self._recorder.start()
        self._thread.start()

    def close(self) -> None:
        self._closing = True
        self._streams.wake.set()
        if self._thread.ident is not None:
            self._thread.join(timeout=5)
        self._recorder.close()

    def _run(self) -> None:
        streams = self._streams
        while not self._closing:
            busy = streams.live or streams.following
            streams.wake.wait(TICK_SECONDS if busy else SWEEP_SECONDS)
            streams.wake.clear()
            if streams.live or streams.following:
                self._tick(list(streams.live.values()), list(streams.following))
            if time.monotonic() - self._swept > SWEEP_SECONDS:
                self._sweep()

    def _tick(self, live: Sequence[Stream], following: Sequence[Stream]) -> None:
        written = [(stream, stream.take()) for stream in live]
        try:
            heard = self._recorder.do(
                Journal.tend,
                [(stream.id, encoded(events)) for stream, events in written if events],
                [(stream.id, stream.seen) for stream in following],
            )
        except JournalFailing:
            for stream, events in written:
                stream.put_back(events)
            self._compute_alone(following)
            return
        for name, state in heard.ousted:
            self._streams.oust(name, CANCELLED if state == "cancelled" else TAKEN)
        for name in heard.gone:
            self._streams.live.pop(name, None)
        for stream, news in in_turns(zip(following, heard.news, strict=True)):
            self._tell(stream, news)

    def _tell(self, stream: Stream, news: News | None) -> None:
        if stream not in self._streams.following:
            return  # its reader has left
        if news is None:
            self._compute_alone([stream])
            return
        try:
            self._streams.go_on(stream, news)
        except JournalFailing:
            self._compute_alone([stream])
        except Unavailable as unavailable:
            self._fail(stream, unavailable)

    def _compute_alone(self, following: Sequence[Stream]) -> None:
        for stream in following:
            if stream in self._streams.following:
                self._streams.following.remove(stream)
            try:
                self._streams.compute(stream)
            except Unavailable as unavailable:
                self._fail(stream, unavailable)

    def _fail(self, stream: Stream, unavailable: Unavailable) -> None:
        for session in stream.sessions:
            session.end("error", str(unavailable))

    def _sweep(self) -> None:
        self._swept = time.monotonic()
        try:
            while self._recorder.do(Journal.sweep) == SWEEP_AT_ONCE:
                time.sleep(0)  # calls of others come first
        except JournalFailing:
            return
