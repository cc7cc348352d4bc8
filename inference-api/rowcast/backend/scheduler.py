"""Which replies are seated, and how many tokens each row is fed in this step.

There is no prefill phase and no decode phase. A reply has tokens, and some of them are in the
engine's cache; a step grants each row part of the difference, under the step's width:

    width 11  row 0 ▪         decoding: lacks one token, is always granted it first
              row 1 ▪         decoding
              row 2 ▪▪▪▪▪     of what is left, half goes to the prompt seated longest ago,
              row 3 ▪▪▪▪      and the rest to the shortest: neither long nor short ones starve
              row 4           … and continues in the next step

If prompts of several teams are fed, each team first gets an equal part of what is left, and that
part is divided in the same way among its own prompts. A wide step takes longer, and every row waits
for its end. So while more than MANY rows decode for each prompt that is fed, steps stay within the
engine's `shared_width`; a burst of prompts uses the full width.

Knows no engine and no transport; `DecodeBackend` carries its decisions out.
"""

from collections.abc import Iterable, Sequence
from dataclasses import replace

from rowcast.backend.line import WaitingLine
from rowcast.backend.reply import Reply
from rowcast.backend.rows import Rows
from rowcast.engine.engine import Feed

# With 32 prompts at once, the last began after 14.5 s at 1, 12 s at 7; without narrow steps, 10 s.
MANY = 7


def admit(line: WaitingLine, rows: Rows) -> list[Reply]:
    """Fill the free rows from the waiting line, and return the replies seated.

    A reply that may have crashed earlier backends is seated only when every other seated reply has
    produced output, and no other reply joins until it has. A crash then costs no innocent reply an
    attempt, and an innocent suspect is soon cleared. The beams of a search are seated together.
    """
    seated: list[Reply] = []
    while len(line) and rows.free and (reply := _next(line, rows)) is not None:
        unproven = [other for other in rows if not other.proven]
        if any(other.suspect for other in unproven) or (reply.suspect and unproven):
            break
        for each in _together(reply, line, rows.count):
            line.seat(each, rows)
            seated.append(each)
    return seated


def _next(line: WaitingLine, rows: Rows) -> Reply | None:
    """Return the reply to be seated now; None if there is none, or what is free is left to one.

    A search needs all its rows at once. Until they are free, no other reply passes it while the
    rows left free for it, summed over steps, are fewer than the search itself may use. Then others
    pass, and each adds its own length to that credit. So neither waits for ever. A reply for which
    there is no memory yet is passed only by those that do not delay it.
    """
    reply = line.fitting(rows, rows.count)
    if reply is None or (reply.beams <= rows.free and rows.memory.fits(reply)):
        return reply
    if reply.beams <= rows.free:
        return line.fitting(rows, rows.free, rows.memory.passing(reply, rows, rows.free))
    if len(line) > len(line.of(reply.group)):
        reply.credit -= rows.free
    if reply.credit > 0:
        return None
    passing = line.fitting(rows, rows.free, rows.memory.passing(reply, rows, rows.free))
    if passing is not None:
        reply.credit += min(passing.limit, reply.limit)
    return passing


def _together(reply: Reply, line: WaitingLine, rows: int) -> list[Reply]:
    """Return the replies that are seated with this one: it alone, or all beams of its search.

    Beams without a choice join the line with numbers below 0, which no choice of `rows` has.
    """
    if not reply.beams:
        return [reply]
    submit = reply.submit
    same = [each for each in line.of(reply.group) if each.submit.params == submit.params]
    same = same[: reply.beams]
    for at in range(len(same), reply.beams):
        unread = submit.as_choice(-1 - at - submit.choice * rows)
        same.append(replace(reply, submit=unread, unread=True))
        line.join(same[-1])
    return same


def grant(replies: Iterable[Reply], width: int, shared_width: int) -> list[Feed]:
    """Return this step's feeds: one token per decoding row, the rest of the width for prompts."""
    decoding: list[Reply] = []
    prompts: list[Reply] = []
    for reply in replies:
        if reply.leader is None and (lacks := reply.lacks):
            (decoding if lacks == 1 else prompts).append(reply)
    most = shared_width if len(decoding) > MANY * len(prompts) else width
    feeds = [_feed(reply, 1) for reply in decoding[:width]]
    if not prompts:
        return feeds
    shares = _shares_of_teams(prompts, max(0, most - len(feeds)))
    granted = zip(prompts, shares, strict=True)
    return feeds + [_feed(reply, share) for reply, share in granted if share]


def _shares_of_teams(prompts: Sequence[Reply], left: int) -> list[int]:
    """Return how many tokens each prompt gets, in the order of their seating.

    The team of the oldest prompt comes first, so that its part is never rounded to nothing.
    """
    teams: dict[str, list[int]] = {}
    for at, reply in enumerate(prompts):
        teams.setdefault(reply.team, []).append(at)
    lacks = [reply.lacks for reply in prompts]
    parts = _parts([sum(lacks[at] for at in places) for places in teams.values()], left)
    shares = [0] * len(prompts)
    for places, part in zip(teams.values(), parts, strict=True):
        of_team = _shares([lacks[at] for at in places], part)
        for at, share in zip(places, of_team, strict=True):
            shares[at] = share
    return shares


def _parts(needs: Sequence[int], left: int) -> list[int]:
    """Divide the width equally among teams; what some teams do not need goes to the others."""
    parts = [0] * len(needs)
    for most in (-(-left // max(1, len(needs))), left):
        for at, need in enumerate(needs):
            more = min(need - parts[at], most, left)
            parts[at] += more
            left -= more
    return parts


def _shares(lacks: Sequence[int], left: int) -> list[int]:
    """Return how many tokens each prompt of one team gets, in the order of their seating."""
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
    draws = count == reply.lacks and not reply.silent
    if not reply.scores:
        return Feed(reply.row, reply.fed, tokens, draws)
    return Feed(reply.row, reply.fed, tokens, draws, reply.submit.prompt[reply.fed + 1 : end + 1])
