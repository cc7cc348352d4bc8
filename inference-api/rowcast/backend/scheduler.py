"""Who waits, who is seated, and who is fed how much in this step.

There is no prefill phase and no decode phase. A reply has tokens, and some of them are in the
engine's cache; a step grants each row part of the difference, under the step's width:

    width 11  row 0 ▪         decoding: lacks one token, is granted it first, always
              row 1 ▪         decoding
              row 2 ▪▪▪▪▪     of what is left, half goes to the prompt that has sat the longest,
              row 3 ▪▪▪▪      and the rest to the shortest: neither long nor short ones starve
              row 4           … and goes on in the next step

A wide step is a long one, and everybody waits for its end. So while MANY rows decode for each that
has a prompt to be fed, steps stay within the engine's `shared_width`; a burst of prompts goes wide.
Knows no engine and no transport; `DecodeBackend` carries its decisions out.
"""

from collections.abc import Iterable, Sequence

from rowcast.backend.rows import Reply, Roster, Rows
from rowcast.engine.engine import Feed

# Of 32 prompts at once the last began after 14.5 s at 1, 12 s at 7; with no narrow steps, 10 s.
MANY = 7


class WaitingLine(Roster):
    """Accepted replies without a row: first come, first seated, and never more than `limit`."""

    def __init__(self, limit: int) -> None:
        super().__init__()
        self._limit = limit

    def room(self, free_rows: int) -> int:
        """How many may join; free rows take from the line at once, so they count as room."""
        return max(0, self._limit + free_rows - len(self))

    def next(self, rows: Rows) -> Reply:
        """The first whose group has less than half of the rows, if there is one; else the first."""
        fair = (reply for reply in self if len(rows.of(reply.group)) < rows.count // 2)
        return next(fair, None) or next(iter(self))


def admit(line: WaitingLine, rows: Rows) -> list[Reply]:
    """Seat who waits in every free row. A suspect sits down alone among those who are proven.

    So the backend that it ends costs nobody else an attempt, and an innocent one is soon cleared.
    """
    seated: list[Reply] = []
    for _ in range(min(rows.free, len(line))):
        reply = line.next(rows)
        unproven = [other for other in rows if not other.proven]
        if any(other.suspect for other in unproven) or (reply.suspect and unproven):
            break
        line.leave(reply)
        rows.seat(reply)
        seated.append(reply)
    return seated


def grant(replies: Iterable[Reply], width: int, shared_width: int) -> list[Feed]:
    """This step's feeds: one token for each that decodes, the rest of the width for prompts."""
    seated = [reply for reply in replies if reply.lacks and reply.leader is None]
    decoding = [reply for reply in seated if reply.lacks == 1]
    prompts = [reply for reply in seated if reply.lacks > 1]
    most = shared_width if len(decoding) > MANY * len(prompts) else width
    feeds = [_feed(reply, 1) for reply in decoding[:width]]
    shares = _shares([reply.lacks for reply in prompts], max(0, most - len(feeds)))
    granted = zip(prompts, shares, strict=True)
    return feeds + [_feed(reply, share) for reply, share in granted if share]


def _shares(lacks: Sequence[int], left: int) -> list[int]:
    """How many tokens each prompt gets; they stand in the order of their seating."""
    shares = [0] * len(lacks)
    shortest_first = sorted(range(len(lacks)), key=lambda at: (lacks[at], at))
    for at, most in [(0, (left + 1) // 2), *((at, left) for at in shortest_first)]:
        if left and at < len(lacks):
            more = min(lacks[at] - shares[at], most, left)
            shares[at] += more
            left -= more
    return shares


def _feed(reply: Reply, count: int) -> Feed:
    end = reply.fed + count
    tokens = reply.tokens[reply.fed : end]
    draws = count == reply.lacks and not reply.unfed
    if not reply.scores:
        return Feed(reply.row, reply.fed, tokens, draws)
    return Feed(reply.row, reply.fed, tokens, draws, reply.submit.prompt[reply.fed + 1 : end + 1])
