"""Who waits, who is seated, and who is fed how much in this step.

There is no prefill phase and no decode phase. A reply has tokens, and some of them are in the
engine's cache; a step grants each row part of the difference, under the step's width:

    width 8   row 0 ▪         decoding: lacks one token, is granted it first, always
              row 1 ▪         decoding
              row 2 ▪▪▪▪▪▪    a long prompt takes what is left, in the order of seating
              row 3           … and goes on in the next step

Knows no engine and no transport; `DecodeBackend` carries its decisions out.
"""

from collections.abc import Iterable, Iterator

from rowcast.backend.rows import Reply, ReplyId, Rows
from rowcast.engine.engine import Feed


class WaitingLine:
    """Accepted replies without a row: first come, first seated, and never more than `limit`."""

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._replies: dict[ReplyId, Reply] = {}

    def __len__(self) -> int:
        return len(self._replies)

    def __iter__(self) -> Iterator[Reply]:
        return iter(self._replies.values())

    def __contains__(self, reply_id: ReplyId) -> bool:
        return reply_id in self._replies

    def is_full(self, free_rows: int) -> bool:
        """Rows that are free take from the line at once, so they count as room."""
        return len(self._replies) >= self._limit + free_rows

    def join(self, reply: Reply) -> None:
        self._replies[reply.id] = reply

    def leave(self, reply_id: ReplyId) -> Reply | None:
        return self._replies.pop(reply_id, None)

    def next(self) -> Reply:
        return self._replies.pop(next(iter(self._replies)))


def admit(line: WaitingLine, rows: Rows) -> list[Reply]:
    """Seat the first of the line in every free row."""
    seated = [line.next() for _ in range(min(rows.free, len(line)))]
    for reply in seated:
        rows.seat(reply)
    return seated


def grant(replies: Iterable[Reply], width: int) -> list[Feed]:
    """This step's feeds: one token for each that decodes, the rest of the width for prompts."""
    seated = list(replies)
    feeds = [_feed(reply, 1) for reply in seated if reply.lacks == 1][:width]
    left = width - len(feeds)
    for reply in seated:
        if reply.lacks > 1 and left > 0:
            feeds.append(_feed(reply, min(reply.lacks, left)))
            left -= len(feeds[-1].tokens)
    return feeds


def _feed(reply: Reply, count: int) -> Feed:
    tokens = reply.tokens[reply.fed : reply.fed + count]
    return Feed(reply.row, reply.fed, tokens, draws=count == reply.lacks)
