"""Beam search: one row for each beam, and one object beside the rows that decides how they go on.

    rows      A the cat ▪   ──candidates of all rows──▶   A the cat sat
              B the dog ▪      ranked by their sums       B the cat ran     copied from A's row
    complete  "the end"                                   "the dog.", "the end"

The beams of a prompt are seated together. The first is fed the prompt. Then, and after each step
in which all beams were fed, `Search` ranks what may follow them. As in transformers, with n beams:
of the n likeliest candidates, those that end a reply are complete, and rank by log-probability /
length ** length_penalty; the n likeliest others are the next beams. A beam stays in its parent's
row if it can. Otherwise it takes the row of a dropped beam, and only the tokens in which the two
differ are copied.

Choice number k reads the k-th best hypothesis. What all beams and complete hypotheses begin with
cannot change any more: it is sent at once, the rest at the end. Beams that no choice reads are
`unread`: there may be more beams than choices, and after a backend's end perhaps only some choices
are sent again.

Knows no scheduling, no transport and no sampling.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from rowcast.backend.reply import Reply
from rowcast.backend.sharing import shared_length
from rowcast.engine.engine import Candidates, Drawn, Engine
from rowcast.wire import FinishReason, Tokens, Top

_REPEATED = -1e9  # added to the score of all beams but one while they are equal


@dataclass(frozen=True, slots=True)
class Path:
    """Reply tokens, with the model's log-probabilities."""

    tokens: tuple[int, ...] = ()
    logprobs: tuple[float, ...] = ()
    top: tuple[Top, ...] = ()

    def event(self, reply: Reply, end: int) -> Tokens:
        """Return those of the first `end` tokens that the frontend does not have yet."""
        lacks, params = slice(reply.sent, end), reply.submit.params
        return Tokens(
            *reply.submit.key,
            reply.sent,
            self.tokens[lacks],
            self.logprobs[lacks] if params.logprobs else None,
            self.top[lacks] if params.top_logprobs else None,
        )


@dataclass(frozen=True, slots=True)
class Hypothesis:
    """A complete hypothesis."""

    score: float
    path: Path
    reason: FinishReason


@dataclass(frozen=True, slots=True)
class Beam:
    """A hypothesis that goes on, in the row of a reply."""

    reply: Reply
    score: float
    path: Path


@dataclass(frozen=True, slots=True)
class Extension:
    """A beam, and number `at` of the candidates that may follow it."""

    score: float
    beam: Beam
    candidates: Candidates
    at: int

    @property
    def token(self) -> int:
        return self.candidates.tokens[self.at]

    @property
    def path(self) -> Path:
        """The beam's path with the candidate."""
        before, logprob = self.beam.path, self.candidates.logprobs[self.at]
        return Path(
            (*before.tokens, self.token),
            (*before.logprobs, logprob),
            (*before.top, self.candidates.top),
        )


class Search:
    """The beams of one prompt, from their seating to the end of them all."""

    def __init__(self, replies: Sequence[Reply], engine: Engine) -> None:
        """`replies`: one for each beam."""
        self.replies = replies
        self.problem = ""
        self.over = False
        self._engine = engine
        self._params = replies[0].submit.params
        self._limit = replies[0].limit
        self._endings = self._params.endings(engine.end_tokens)
        self._beams = [Beam(replies[0], 0.0, Path())]
        self._drawn: dict[int, Candidates] = {}  # what may follow each beam, by row
        self._complete: list[Hypothesis] = []  # the best first
        self._length = 0  # of the beams' paths
        self._settled = 0  # tokens that all paths begin with
        for reply in replies[1:]:
            reply.tokens = []  # until they are copied from another row

    def take(self, drawn: Drawn) -> bool:
        """Take what may follow one beam; return True if the search has gone on, or failed."""
        if drawn.candidates is None:
            failed_before, self.problem = bool(self.problem), drawn.problem
            return not failed_before
        self._drawn[drawn.row] = drawn.candidates
        if len(self._drawn) < len(self._beams):
            return False
        self._extend()
        return True

    def events(self) -> Iterator[tuple[Reply, Tokens]]:
        """Yield what each choice lacks of the tokens that cannot change any more."""
        for reply in self.replies:
            path = self._hypothesis_of(reply).path if self.over else self._beams[0].path
            end = len(path.tokens) if self.over else self._settled
            if reply.sent < end and not reply.unread:
                yield reply, path.event(reply, end)
                reply.sent = end

    def reason(self, reply: Reply) -> FinishReason:
        """Return how the hypothesis of a choice has ended, once the search is over."""
        return self._hypothesis_of(reply).reason

    def _hypothesis_of(self, reply: Reply) -> Hypothesis:
        """Return the hypothesis of a choice: the last one if there are fewer than choices."""
        return self._complete[min(max(0, reply.submit.choice), len(self._complete) - 1)]

    def _extend(self) -> None:
        """Divide the likeliest extensions into complete hypotheses and the next beams."""
        width, complete = len(self.replies), list(self._complete)
        beams: list[Extension] = []
        for rank, each in enumerate(self._ranked()):
            reason = self._ends(each.token)
            if reason is None and len(beams) < width:
                beams.append(each)
            elif reason is not None and rank < width:
                complete.append(self._completed(each, reason))
            elif rank >= width and len(beams) == width:
                break
        complete.sort(key=lambda each: -each.score)  # of equals, the earlier ranks first
        self._complete = complete[:width]
        self._length += 1
        self._drawn.clear()
        self.over = self._is_over(beams)
        if not self.over:
            self._go_on(beams)
            self._settle()

    def _ranked(self) -> Iterator[Extension]:
        """Yield the extensions of all beams, likeliest first."""
        repeats = len(self.replies) if self._length == 0 else 1
        beams = [
            (beam, beam.score + (_REPEATED if copy else 0.0))
            for beam in self._beams
            for copy in range(repeats)
        ]
        found = sorted(
            (-(score + more), place, at)
            for place, (beam, score) in enumerate(beams)
            for at, more in enumerate(self._drawn[beam.reply.row].scores)
        )
        for negative, place, at in found:
            beam = beams[place][0]
            yield Extension(-negative, beam, self._drawn[beam.reply.row], at)

    def _ends(self, token: int) -> FinishReason | None:
        """Return how a hypothesis ends with this token; None if it goes on."""
        if token in self._endings and self._length >= self._params.min_tokens:
            return "stop"
        return "length" if self._length + 1 >= self._limit else None

    def _completed(self, each: Extension, reason: FinishReason) -> Hypothesis:
        """Return a complete hypothesis; a token that ends it counts, but is not part of it."""
        path = each.beam.path if reason == "stop" else each.path
        return Hypothesis(self._per_length(each.score, self._length + 1), path, reason)

    def _per_length(self, score: float, length: int) -> float:
        penalty: float = length**self._params.length_penalty
        return score / penalty

    def _is_over(self, beams: Sequence[Extension]) -> bool:
        """True if no beam is left, or none is expected to become better than what is complete."""
        if not beams:
            return True
        if len(self._complete) < len(self.replies):
            return False
        early, length = self._params.early_stopping, self._length
        if early == "never" and self._params.length_penalty > 0:
            length = self._limit
        best = self._per_length(beams[0].score, length)
        return early is True or best <= self._complete[-1].score

    def _go_on(self, beams: Sequence[Extension]) -> None:
        """Give each of the next beams a row."""
        first = {each.beam.reply.row: each for each in reversed(beams)}  # they stay in their rows
        spare = iter([reply for reply in self.replies if reply.row not in first])
        rows: list[Reply] = []
        for each in beams:
            parent = each.beam.reply
            stays = first[parent.row] is each
            rows.append(parent if stays else self._copied(parent, next(spare)))
        self._beams = [
            Beam(reply, each.score, each.path) for reply, each in zip(rows, beams, strict=True)
        ]
        for beam in self._beams:
            beam.reply.tokens.append(beam.path.tokens[-1])

    def _copied(self, source: Reply, target: Reply) -> Reply:
        """Give a row the tokens of another; copy only those that it does not hold already."""
        held, prompt = 0, len(source.submit.prompt)
        if target.fed > prompt:
            held = prompt + shared_length(target.tokens[prompt:], source.tokens[prompt:])
        self._engine.fork(source.row, target.row, source.tokens, held)
        target.tokens[held:] = source.tokens[held:]
        target.fed = source.fed
        return target

    def _settle(self) -> None:
        """Count the tokens that all paths begin with."""
        paths = [each.path.tokens for each in self._beams]
        paths += [each.path.tokens for each in self._complete]
        most = min(map(len, paths))
        while self._settled < most and len({path[self._settled] for path in paths}) == 1:
            self._settled += 1


class Searches:
    """The searches of the seated replies, by row."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._by_row: dict[int, Search] = {}
        self._moved: list[Search] = []

    def seat(self, seated: Sequence[Reply]) -> None:
        """Begin the searches of replies that were just seated, with all their beams."""
        beams = [reply for reply in seated if reply.beams]
        while beams:
            width = beams[0].beams
            search = Search(beams[:width], self._engine)
            self._by_row.update((reply.row, search) for reply in search.replies)
            beams = beams[width:]

    def leave(self, row: int) -> None:
        self._by_row.pop(row, None)

    def take(self, drawn: Drawn) -> None:
        """Pass what may follow a beam to its search."""
        search = self._by_row[drawn.row]
        if search.take(drawn):
            self._moved.append(search)

    def moved(self) -> Sequence[Search]:
        """Return the searches that have gone on, or failed, since the last call."""
        moved, self._moved = self._moved, []
        return moved

    def of(self, row: int) -> Search | None:
        """Return the search that this row belongs to."""
        return self._by_row.get(row)
