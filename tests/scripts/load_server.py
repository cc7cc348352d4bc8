"""A small real server for every measured dialect, with the scripted rule and faults on demand.

In: `Faults`, and the stream that they affect. Out: an HTTP/1.1 server in its own thread, on a free
port. Replies come from `scripted_rule`, whose rule the tests pin by fixed values; a chat is
rendered as its last message. It checks nothing: the bench is under test.
"""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from commands.bench.verification.scripted_rule import Reply, reply_to

PIECE = 5  # characters
WAIT_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Faults:
    """How to misbehave; `victim` limits it to requests whose prompt contains that text."""

    victim: str = ""
    status: int = 200
    cut_after: int | None = None  # pieces
    flip_at: int | None = None  # byte of the reply
    swap_after: int | None = None  # pieces; the rest is another stream's
    no_end: bool = False
    silent: bool = False
    wrong_type: bool = False
    close_each: bool = False


@dataclass(frozen=True, slots=True)
class Wanted:
    """A parsed request."""

    path: str
    prompt: str
    seed: int
    max_tokens: int
    echo: bool

    @property
    def reply(self) -> Reply:
        """Return the reply by the rule."""
        return reply_to(self.prompt.encode(), self.seed, self.max_tokens)


class LoadServer:
    """Serves until the block ends: `with LoadServer() as server: server.url`."""

    def __init__(self, faults: Faults | None = None) -> None:
        self.faults = faults or Faults()
        self.requests: list[dict[str, object]] = []
        self.heads: list[str] = []
        self.connections = 0
        self.url = ""
        self._texts: list[str] = []
        self._ready = threading.Event()
        self._stop: asyncio.Event | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), name="load")

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._ready.wait(WAIT_SECONDS)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join(WAIT_SECONDS)
        assert not self._thread.is_alive()

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        server = await asyncio.start_server(self._connection, "127.0.0.1", 0, backlog=512)
        self.url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        self._ready.set()
        await self._stop.wait()
        server.close()

    async def _connection(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        try:
            while await self._exchange(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    async def _exchange(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Answer one request; return whether the connection may be kept."""
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        length = next(
            line for line in head.split("\r\n") if line.lower().startswith("content-length:")
        )
        body = json.loads(await reader.readexactly(int(length.partition(":")[2])))
        self.heads.append(head)
        self.requests.append(body)
        wanted = _understand(head.split(" ")[1], body)
        faults = self.faults if self.faults.victim in wanted.prompt else Faults()
        if faults.status != 200:
            writer.write(_refusal(faults.status))
            return True
        writer.write(_head(wanted.path, faults))
        sent = 0
        async for piece in self._pieces(wanted, faults):
            if sent == faults.cut_after:
                return False
            writer.write(_chunk(piece))
            await writer.drain()
            await asyncio.sleep(0)
            sent += 1
        writer.write(b"0\r\n\r\n")
        return not faults.close_each

    async def _pieces(self, wanted: Wanted, faults: Faults) -> AsyncIterator[bytes]:
        if faults.silent and self._stop is not None:
            await self._stop.wait()
        texts = _cut(await self._text(wanted, faults))
        if wanted.echo:
            texts = [wanted.prompt, *texts]
        for part in _framed(wanted, texts, ended=not faults.no_end):
            yield part

    async def _text(self, wanted: Wanted, faults: Faults) -> str:
        text = wanted.reply.text.decode()
        if faults.flip_at is not None:
            at = faults.flip_at
            return text[:at] + chr(ord(text[at]) ^ 1) + text[at + 1 :]
        if faults.swap_after is None:
            return text
        self._texts.append(text)
        async with asyncio.timeout(WAIT_SECONDS):
            while len(self._texts) < 2:
                await asyncio.sleep(0.001)
        other = next(other for other in self._texts if other != text)
        own = faults.swap_after * PIECE
        return text[:own] + other[own:]


def _understand(path: str, body: dict[str, object]) -> Wanted:
    prompt = body.get("text") or body.get("prompt")
    messages = body.get("messages")
    if isinstance(messages, list):
        prompt = messages[-1]["content"]
    seed, limit = body.get("seed", 0), body["max_tokens"]
    assert isinstance(seed, int)
    assert isinstance(limit, int)
    return Wanted(path, str(prompt), seed, limit, bool(body.get("return_prompt")))


def _framed(wanted: Wanted, texts: list[str], *, ended: bool) -> Iterator[bytes]:
    if wanted.path.startswith("/predictions/"):
        return iter([text.encode() for text in texts])
    if wanted.path.startswith("/chat/"):
        return _chat(wanted, texts, ended=ended)
    return _openai(wanted, texts, ended=ended)


def _chat(wanted: Wanted, texts: list[str], *, ended: bool) -> Iterator[bytes]:
    yield b": waiting\n"
    for number, text in enumerate(texts):
        yield f"id: {number}\ndata: {json.dumps({'text': text})}\n\n".encode()
    if ended:
        end = _usage(wanted) | {"finish_reason": wanted.reply.finish_reason, "seed": wanted.seed}
        yield f"event: end\ndata: {json.dumps(end)}\n\n".encode()


def _openai(wanted: Wanted, texts: list[str], *, ended: bool) -> Iterator[bytes]:
    chat = wanted.path.endswith("/chat/completions")
    for text in texts:
        choice: dict[str, object] = {"delta": {"content": text}} if chat else {"text": text}
        yield _data({"choices": [{"index": 0, "finish_reason": None, **choice}]})
    reason = wanted.reply.finish_reason
    nothing: dict[str, object] = {"delta": {}} if chat else {"text": ""}
    yield _data({"choices": [{"index": 0, "finish_reason": reason, **nothing}]})
    yield _data({"choices": [], "usage": _usage(wanted)})
    if ended:
        yield b"data: [DONE]\n\n"


def _data(value: dict[str, object]) -> bytes:
    return f"data: {json.dumps(value)}\n\n".encode()


def _usage(wanted: Wanted) -> dict[str, object]:
    return {
        "prompt_tokens": len(wanted.prompt.encode()),
        "completion_tokens": wanted.reply.tokens,
    }


def _cut(text: str) -> list[str]:
    return [text[at : at + PIECE] for at in range(0, len(text), PIECE)]


def _chunk(piece: bytes) -> bytes:
    return b"%x\r\n%s\r\n" % (len(piece), piece)


def _head(path: str, faults: Faults) -> bytes:
    media_type = "text/plain" if path.startswith("/predictions/") else "text/event-stream"
    if faults.wrong_type:
        media_type = "text/html"
    close = "Connection: close\r\n" if faults.close_each else ""
    return (
        f"HTTP/1.1 200 OK\r\nContent-Type: {media_type}; charset=utf-8\r\n"
        f"{close}Transfer-Encoding: chunked\r\n\r\n"
    ).encode()


def _refusal(status: int) -> bytes:
    body = json.dumps({"status_code": status, "message": "The waiting line is full."}).encode()
    head = (
        f"HTTP/1.1 {status} Refused\r\nContent-Type: application/json\r\nRetry-After: 1\r\n"
        f"Content-Length: {len(body)}\r\n\r\n"
    )
    return head.encode() + body
