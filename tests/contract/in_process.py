"""A backend and its sessions in this process, over the memory transport, open to inspection."""

import contextlib
import threading
from collections.abc import Iterator, Sequence

from processes import until
from rowcast.backend.decode_backend import DecodeBackend
from rowcast.engine.engine import Drawn, Feed
from rowcast.engine.scripted_engine import ScriptedEngine
from rowcast.frontend.sessions.choice import Choice
from rowcast.frontend.sessions.sessions import Sessions
from rowcast.sampling_params import SamplingParams
from rowcast.text.tokens.tokenizer import ScriptedTokenizer
from rowcast.transport.memory import MemoryTransport
from rowcast.wire import Finished, Submit


class RecordingEngine(ScriptedEngine):
    """The scripted engine; it records what it was fed in each step."""

    def __init__(self) -> None:
        super().__init__(width=64)
        self.fed: list[dict[int, int]] = []  # per step: tokens by row

    def step(self, feeds: Sequence[Feed]) -> list[Drawn]:
        self.fed.append({feed.row: len(feed.tokens) for feed in feeds})
        return super().step(feeds)


def submit(text: str, seed: int = 0, max_tokens: int = 20, session: str = "") -> Submit:
    """Return a prompt as the frontend would send it."""
    tokens = ScriptedTokenizer().encode(text)
    return Submit(session, 0, tokens, SamplingParams(max_tokens=max_tokens), seed)


def read(choice: Choice) -> tuple[int, ...]:
    """Return the choice's reply tokens, once it has ended."""
    until(lambda: any(isinstance(event, Finished) for event in choice.take(1.0)), "the end")
    return tuple(choice.tokens)


@contextlib.contextmanager
def running_sessions() -> Iterator[Sessions]:
    """Sessions connected to a backend that runs in a thread."""
    transport = MemoryTransport()
    backend = DecodeBackend(transport.backend_port, RecordingEngine)
    decoding = threading.Thread(target=backend.run, name="backend", daemon=True)
    decoding.start()
    sessions = Sessions(transport.connect, silence_seconds=10, recovery_seconds=10)
    sessions.start()
    try:
        until(lambda: sessions.health().ready, "the backend is ready")
        yield sessions
    finally:
        sessions.close()
        backend.stop()
        decoding.join(timeout=10)
