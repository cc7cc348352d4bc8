"""A model without weights: its next token is a fixed function of tokens so far, seed and position.

A real `Engine`, with a row cache (a row's cache is the CRC of the tokens it was fed), so a wrong
feed, a lost token or a mixed-up row changes its output, and every test can compute what a stream
must contain. It produces bytes, words of two syllables, and multi-byte characters one byte per
token. `scripts/commands/bench` has a second, independent implementation of the rule; a test
compares them.

Under a grammar it chooses among the tokens allowed: when the noise is below 2**29, the first of end
of text, quote, `]` and `}` that is allowed; else the rule's token; else, if n tokens are allowed,
number (noise mod n) in ascending order.

A beam search follows the log-probabilities alone.

Its log-probabilities are made up but consistent: after tokens whose CRC is c, token t has rank
r = (t - mixed(c)) mod 3857 and probability 1 / ((r + 1) (r + 2)), whatever is drawn. Its vectors
are in `scripted_states`.
"""

import math
import struct
import time
from array import array
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from zlib import crc32

from msgspec.structs import replace

from rowcast.engine.engine import (
    CacheMemory,
    Candidates,
    Drawn,
    Feed,
    SavedCache,
    Scores,
    Seating,
)
from rowcast.engine.grammar_check import follow, late
from rowcast.engine.scripted_states import DIMENSIONS, ScriptedPools
from rowcast.sampling.grammars.grammars import Grammars, token_texts_of
from rowcast.sampling_params import SamplingParams
from rowcast.scripted_vocabulary import END, FIRST_WORD, TEXTS, WORDS
from rowcast.settings import Settings
from rowcast.wire import Top

ROWS = 32
TOKEN_BYTES = 8  # of the list that is a row's cache
_LEADS = bytes.fromhex("c3c4c5cecfd0d1e4e5e6e7e8e9f0f0f0")
_MARKS = b".,!?;:-\n"
_DRAW = struct.Struct("<QII")
_SIZE = len(TEXTS)
_CLOSING_BELOW = 2**29
_NOBODY = Seating(SamplingParams(max_tokens=0), seed=0, choice=0, prompt_length=0)


def prepare(settings: Settings) -> Callable[[], "ScriptedEngine"]:
    """Return the maker of engines at the pace of the settings."""
    tokens = settings.kv_memory // TOKEN_BYTES if settings.kv_memory else None
    return lambda: ScriptedEngine(step_seconds=settings.step_seconds, cache_tokens=tokens)


@dataclass(slots=True)
class _Row:
    """The cache of one row."""

    seating: Seating
    cache: list[int] = field(default_factory=list)
    crc: int = 0  # of the cache
    missing: int = 0  # bytes that the last character still lacks
    last: tuple[int, int] = (-1, -1)
    before: tuple[int, int, tuple[int, int]] = (0, 0, (-1, -1))  # the state before the last token

    @property
    def fed(self) -> int:
        return len(self.cache)

    def first(self, count: int) -> list[int]:
        """Return the first tokens of the cache."""
        if count > self.fed:
            raise ValueError(f"the row has {self.fed} tokens, not {count}")
        return self.cache[:count]

    def take(self, feed: Feed) -> Scores | None:
        """Add a feed to the cache; score its `scored` tokens."""
        scores = self._score(feed) if feed.scored else None
        self.feed(feed.tokens[len(feed.scored) :])
        return scores

    def draw(self, number: int, allowed: Sequence[int] | None = None) -> Drawn:
        """Return the next token; one of `allowed`, if given."""
        token, params = self._token(allowed), self.seating.params
        if token < 0:
            return Drawn(number, (), problem="no token is left to choose from")
        if not params.logprobs:
            return Drawn(number, (token,))
        top = (_top(self.crc, params.top_logprobs),) if params.top_logprobs else None
        return Drawn(number, (token,), (_logprob(self.crc, token),), top=top)

    def rank(self, number: int, endings: frozenset[int]) -> Drawn:
        """Return the candidates of a beam search; none that ends the reply too early."""
        params, position = self.seating.params, self.fed - self.seating.prompt_length
        barred = endings if position < params.min_tokens else frozenset[int]()
        if params.ignore_eos:
            barred |= {END}
        likeliest = _top(self.crc, params.beams + len(endings) + len(barred))
        found = [each for each in likeliest if each[0] not in barred]
        tokens, logprobs = zip(*found, strict=True)
        top = _top(self.crc, params.top_logprobs)
        return Drawn(number, (), candidates=Candidates(tokens, logprobs, logprobs, top))

    def step_back(self) -> None:
        """Remove the last token that was fed."""
        self.cache.pop()
        self.crc, self.missing, self.last = self.before

    def adopt(self, other: "_Row", length: int, held: int = 0) -> None:
        """Copy tokens of another row's cache; the first are in both."""
        foreign = (self.fed and not held) or self.cache[:held] != other.cache[:held]
        if foreign or length > other.fed:
            raise ValueError(
                f"cannot copy {length} of {other.fed} tokens to a row that has {self.fed}"
            )
        self._begin(other.cache[:length])

    def trim(self, length: int) -> None:
        """Forget the tokens beyond the first `length`."""
        if length < self.fed:
            self._begin(self.cache[:length])

    def _begin(self, tokens: Sequence[int]) -> None:
        """Start again with these tokens."""
        self.cache, self.crc, self.missing, self.last = [], 0, 0, (-1, -1)
        self.feed(tokens)

    def feed(self, tokens: Sequence[int]) -> None:
        """Add tokens to the cache."""
        if len(tokens) > 1:
            self._take_in(tokens[:-1])
        if tokens:
            self.before = (self.crc, self.missing, self.last)
            self._take_in(tokens[-1:])

    def _take_in(self, tokens: Sequence[int]) -> None:
        self.crc = crc32(struct.pack(f"<{len(tokens)}I", *tokens), self.crc)
        for token in tokens:
            self.missing = _missing_after(token, self.missing)
        self.last = (tokens[-2] if len(tokens) > 1 else self.last[1], tokens[-1])
        self.cache += tokens

    def _token(self, allowed: Sequence[int] | None) -> int:
        seating = self.seating
        position = self.fed - seating.prompt_length
        noise = _mixed(crc32(_DRAW.pack(seating.seed, seating.choice, position), self.crc))
        silenced = seating.params.ignore_eos or position < seating.params.min_tokens
        token = self._free_token(noise, silenced=silenced)
        if allowed is None:
            return token
        return _among([each for each in allowed if each != END or not silenced], token, noise)

    def _free_token(self, noise: int, *, silenced: bool) -> int:
        if self.missing:
            return _continuation(self.last, noise)
        token = _opening(noise)
        return _word(noise) if token == END and silenced else token

    def _score(self, feed: Feed) -> Scores:
        """Feed token by token, and score the token that follows each."""
        places = []
        for token, _ in zip(feed.tokens, feed.scored, strict=False):
            self.feed((token,))
            places.append(self.crc)
        logprobs = tuple(map(_logprob, places, feed.scored))
        count = self.seating.params.top_logprobs
        return Scores(logprobs, tuple([_top(crc, count) for crc in places]) if count else None)


def _among(allowed: Sequence[int], token: int, noise: int) -> int:
    """Return the token to draw among those that a grammar allows; -1 if there is none."""
    if noise < _CLOSING_BELOW:
        token = next((each for each in (END, *b'"]}') if each in allowed), token)
    if token in allowed or not allowed:
        return token if allowed else -1
    return allowed[noise % len(allowed)]


def _logprob(crc: int, token: int) -> float:
    rank = (token - _mixed(crc)) % _SIZE
    return -math.log((rank + 1) * (rank + 2))


def _top(crc: int, count: int) -> Top:
    """Return the likeliest tokens after tokens with this CRC."""
    first = _mixed(crc)
    tokens = [(first + rank) % _SIZE for rank in range(min(count, _SIZE))]
    return tuple([(token, _logprob(crc, token)) for token in tokens])


def _missing_after(token: int, missing: int) -> int:
    """Return how many bytes the last character lacks after one more token."""
    if token < 0x80 or token > 0xF4:
        return 0
    if token < 0xC0:
        return max(missing - 1, 0)
    if token < 0xE0:
        return int(token >= 0xC2)
    return 2 if token < 0xF0 else 3


def _mixed(crc: int) -> int:
    mixed = ((crc ^ (crc >> 16)) * 0x45D9F3B) & 0xFFFFFFFF
    return mixed ^ (mixed >> 16)


def _continuation(last: tuple[int, int], noise: int) -> int:
    """Return the next byte of a character; four-byte characters are limited to smileys."""
    if last[1] == 0xF0:
        return 0x9F
    if last == (0xF0, 0x9F):
        return 0x98
    return 0x80 | (noise & 0x3F)


def _opening(noise: int) -> int:
    """Return a token that may appear when no character is incomplete."""
    kind, which = noise % 512, noise >> 9
    if kind == 0:
        return END
    if kind < 32:
        return _LEADS[which % len(_LEADS)]
    if kind < 64:
        return _MARKS[which % len(_MARKS)]
    return _word(noise)


def _word(noise: int) -> int:
    return FIRST_WORD + (noise >> 9) % len(WORDS)


class ScriptedEngine:
    """32 rows of the scripted model; instant, or paced by `step_seconds`."""

    def __init__(
        self,
        *,
        rows: int = ROWS,
        width: int = 256,
        context_length: int = 16384,
        step_seconds: float = 0.0,
        cache_tokens: int | None = None,  # of all rows together; None: all may be full
    ) -> None:
        cache_tokens = rows * context_length if cache_tokens is None else max(1, cache_tokens)
        self.memory = CacheMemory(cache_tokens, TOKEN_BYTES, shortens=cache_tokens < context_length)
        self.model = "scripted"
        self.fingerprint = "scripted-1"
        self.rows = rows
        self.width = self.shared_width = width  # all steps take the same time
        self.vocabulary = _SIZE
        self.context_length = min(context_length, cache_tokens)
        self.end_tokens = frozenset({END})
        self.dimensions = DIMENSIONS
        self.token_bytes = 4
        self.classifies = False
        self._step_seconds = step_seconds
        self._rows = {row: _Row(_NOBODY) for row in range(rows)}
        self._pools = ScriptedPools()
        self._given_back: set[int] = set()  # rows whose grammars have seen the next token already
        self._grammars = Grammars(rows, _SIZE, partial(token_texts_of, TEXTS, END, _SIZE))

    def compile(self) -> None:
        """Do nothing: no first step is slow."""

    def seat(self, row: int, seating: Seating) -> None:
        cache = self._rows[row].first(len(seating.held))
        self._rows[row] = _Row(seating)
        self._pools.seat(row, seating)
        self._given_back.discard(row)
        self._grammars.seat(row, seating.params, seating.team)
        if cache:
            self._rows[row].feed(cache)
            self._observe(row, 0, seating.held)

    def leave(self, row: int) -> None:
        self._pools.leave(row)
        self._grammars.leave(row)

    def fork(self, source: int, target: int, tokens: Sequence[int], held: int = 0) -> None:
        self._rows[target].adopt(self._rows[source], len(tokens), held)
        self._observe(target, 0, tokens, held)

    def copy(self, source: int, target: int, count: int) -> None:
        self._rows[target].cache = self._rows[source].first(count)

    def save(self, row: int, count: int) -> SavedCache:
        return memoryview(bytearray(array("I", self._rows[row].first(count))))

    def new_saved(self, count: int) -> SavedCache:
        return memoryview(bytearray(4 * count))

    def save_part(self, row: int, saved: SavedCache, begin: int, end: int) -> None:
        saved[4 * begin : 4 * end] = array("I", self._rows[row].first(end)[begin:]).tobytes()

    def load(self, row: int, saved: SavedCache, count: int) -> None:
        self._rows[row].cache = array("I", bytes(saved[: 4 * count])).tolist()

    def trim(self, row: int, length: int) -> None:
        self._rows[row].trim(length)

    def ready(self, row: int) -> bool:
        return self._grammars.ready(row)

    def step(self, feeds: Sequence[Feed]) -> list[Drawn]:
        if self._step_seconds:
            time.sleep(self._step_seconds)
        scores = {feed.row: self._take(feed) for feed in feeds}
        self._grammars.prepare([feed.row for feed in feeds if feed.draws])
        masked = self._grammars.finish()
        drawn = []
        for feed in feeds:
            of_row = scores[feed.row]
            if feed.draws:
                each = self._draw(feed.row, masked)
                drawn.append(each if of_row is None else replace(each, scores=of_row))
            elif of_row is not None:
                drawn.append(Drawn(feed.row, (), scores=of_row))
        return drawn + self._pools.drawn(feeds, self._crc, _logprob) if self._pools else drawn

    def _crc(self, number: int) -> int:
        return self._rows[number].crc

    def _take(self, feed: Feed) -> Scores | None:
        row = self._rows[feed.row]
        if feed.position != row.fed:
            raise ValueError(
                f"row {feed.row} has {row.fed} tokens, but the feed begins at {feed.position}"
            )
        self._observe(feed.row, feed.position, feed.tokens)
        return row.take(feed)

    def _draw(self, number: int, masked: Sequence[int]) -> Drawn:
        row = self._rows[number]
        if row.seating.params.beams:
            return row.rank(number, row.seating.params.endings(self.end_tokens))
        if not row.seating.params.grammar:
            return row.draw(number)
        if self._grammars.free(number):
            return self._followed(number, row.draw(number))
        drawn = late(number)
        if number in masked:
            mask = self._grammars.allowed(number)
            allowed = [token for token in range(_SIZE) if mask[token >> 3] >> (token & 7) & 1]
            drawn = row.draw(number, allowed)
        return self._followed(number, drawn)

    def _followed(self, number: int, drawn: Drawn) -> Drawn:
        """Pass what was drawn to the row's grammar; undo the row's last token if it is late."""
        drawn = drawn if drawn.late else follow(self._grammars, drawn)
        if drawn.late:
            self._rows[number].step_back()
            self._given_back.add(number)
        return drawn

    def _observe(
        self, number: int, position: int, tokens: Sequence[int], followed: int = 0
    ) -> None:
        """Pass the reply tokens of a feed to the row's grammar, if it has one.

        `followed`: the first tokens, which the grammar has followed already.
        """
        seating = self._rows[number].seating
        if number in self._given_back:
            self._given_back.remove(number)
        elif seating.params.grammar:
            of_prompt = max(0, seating.prompt_length - position)
            self._grammars.observe(number, tokens[max(of_prompt, followed) :])
