"""The stream of `/generate`, as vLLM's first server sent it: JSON objects, each followed by a NUL.

    {"text":["San Francisco is a city"],"error":0}\\0

`text` has the prompt and all of the reply so far, for each choice. So a reader who resumes needs no
position: the first piece of the resumed stream has it all. A stream that fails ends with a piece
whose `error` is the HTTP status, and is then cut, so that a part is never taken for the whole.

Every piece repeats the whole text, so pieces are sent at a bounded rate.
"""

import time
from collections.abc import Iterator

import msgspec

from rowcast.errors import NotReady, ReplyFailed, StreamCut
from rowcast.frontend.reply.replies import Piece, Replies

RATE = 32 << 20  # bytes per second

_encode = msgspec.json.Encoder().encode


class Texts:
    """The prompt and the reply so far, for each choice, already encoded."""

    def __init__(self, prompt: str, choices: int) -> None:
        begin = _encode(prompt)[:-1]
        self._texts = [bytearray(begin) for _ in range(choices)]
        self._due = 0.0  # when the next piece may be sent
        self._unsent = True

    def add(self, pieces: list[Piece]) -> None:
        """Append what has arrived."""
        for piece in pieces:
            if piece.text:
                self._texts[piece.reply] += _encode(piece.text)[1:-1]
                self._unsent = True

    def piece(self, error: int = 0) -> bytes:
        """Return all of the text as one piece."""
        sent = b'{"text":[%b"],"error":%d}\0' % (b'",'.join(self._texts), error)
        self._due = time.monotonic() + len(sent) / RATE
        self._unsent = False
        return sent

    def is_due(self, *, last: bool) -> bool:
        """True if there is new text, and it may be sent now."""
        return self._unsent and (last or time.monotonic() >= self._due)


def pieces(prompt: str, replies: Replies) -> Iterator[bytes]:
    """Yield the stream."""
    yield b""
    texts, unended = Texts(prompt, len(replies)), len(replies)
    try:
        for arrived in replies.rounds():
            for piece in arrived:
                replies.check(piece.reply)
                unended -= replies[piece.reply].ending is not None
            texts.add(arrived)
            if texts.is_due(last=not unended):
                yield texts.piece()
    except (ReplyFailed, NotReady) as failure:
        yield texts.piece(failure.status)
        raise StreamCut(str(failure)) from failure
