"""One row's grammar and the progress of its reply: a matcher, its pending tokens, its mask.

    begin ─▶ consume the tokens the row was fed ─▶ mask  `advance`, in a thread of a lane
    token drawn ─▶ consume it ─▶ may anything follow?    `take`, at once if the grammar is quick,
                                                         else in a thread too

Masks and ends are functions of the grammar and the reply's tokens. The thread and the time that
they take change when a row draws, never what it draws.
"""

import ctypes
import threading
from collections.abc import Sequence

from llguidance import LLExecutor, LLMatcher

from rowcast.sampling.grammars.compiler import Compiled

REFUSED = "the reply's grammar cannot be followed: "
TOO_MUCH = (
    "the reply's grammar needs more work for its next token than is allowed; simplify it ({})"
)
_SIGNS_OF_LIMITS = ("too many", "current row has", "fuel", "max items", "limit")


class TokenConsumer(threading.local):
    """The means by which a thread consumes a token without the interpreter's lock.

    Only calls for two matchers or more release it, so a second one, which has failed, is passed
    along.
    """

    executor: LLExecutor | None = None
    failed: LLMatcher | None = None

    def consume(self, compiled: Compiled, matcher: LLMatcher, token: int) -> None:
        if self.executor is None or self.failed is None:
            self.executor = LLExecutor(num_threads=1)
            self.failed = LLMatcher(compiled.token_texts(), "start: (", log_level=0)
        self.executor.consume_token_par([(matcher, token), (self.failed, 0)])


class Rule:
    """The grammar of one reply."""

    def __init__(
        self, compiled: Compiled, stops: Sequence[int], stride: int, consumer: TokenConsumer
    ) -> None:
        self.compiled = compiled
        self.mask = bytearray(stride)
        self.problem = ""
        self._stops = frozenset(stops)
        self._stride = stride
        self._consumer = consumer
        self._matcher: LLMatcher | None = None
        self._observed = 0  # reply tokens that the row was fed
        self._known = 0  # reply tokens that the matcher has consumed, or will before its next mask
        self._pending: list[int] = []
        self._masked = False  # `mask` is valid for the next draw
        self._drawn = -1  # a token that was drawn, and is consumed in a thread

    @property
    def whole(self) -> bool:
        """True if nothing can follow the tokens that the row was fed."""
        return self._drawn < 0 and self.ended

    @property
    def ended(self) -> bool:
        """True if nothing can follow the last token that was consumed."""
        return self._matcher is not None and self._matcher.is_stopped() and not self.problem

    @property
    def masked(self) -> bool:
        """True if the mask of the next draw is computed."""
        return self._masked

    def observe(self, tokens: Sequence[int]) -> None:
        """Note reply tokens that the row is fed; those drawn here are known already."""
        fresh = tokens[max(0, self._known - self._observed) :]
        self._observed += len(tokens)
        self._known += len(fresh)
        self._pending += fresh
        if tokens:
            self._masked = False

    def follow(self, tokens: Sequence[int]) -> None:
        """Consume tokens at once, in a thread of a lane."""
        matcher = self._begin()
        if matcher is not None:
            for token in tokens:
                self._consumer.consume(self.compiled, matcher, token)
            self._check()
        self._masked = False

    @property
    def free(self) -> bool:
        """True if the next token needs no mask; here each of them does."""
        return False

    @property
    def waits(self) -> bool:
        """True until the grammar is compiled."""
        return not self.compiled.done

    def take(self, token: int) -> bool:
        """Note a token that was drawn; False if `advance` must consume it first."""
        if self._drawn == token:
            self._drawn = -1
        elif token not in self._stops and self._matcher is not None:
            if self.compiled.slow:
                self._pending.append(token)
                self._drawn = token
                return False
            self._matcher.consume_token(token)
        self._known += 1
        self._masked = False
        self._check()
        return True

    def advance(self) -> None:
        """Consume pending tokens, and compute the mask unless it is done."""
        matcher = self._begin()
        if matcher is None or self.problem:
            self._masked = True
            return
        pending, self._pending = self._pending, []
        for token in pending:
            self._consumer.consume(self.compiled, matcher, token)
        if self._drawn >= 0:
            return  # it is drawn again, with the same mask as before
        self._compute(matcher)
        self._masked = True

    def abandoned(self) -> "Rule":
        """Return the replacement for a rule whose mask does not come: it ends the reply."""
        other = Rule(self.compiled, (), self._stride, self._consumer)
        other.problem = TOO_MUCH.format("its mask was not ready in time")
        other._masked = True
        return other

    def _begin(self) -> LLMatcher | None:
        if self._matcher is None and not self.problem:
            if self.compiled.problem:
                self.problem = REFUSED + self.compiled.problem
            self._matcher = self.compiled.matcher()
            self._check()
        return self._matcher

    def _compute(self, matcher: LLMatcher) -> None:
        begin = ctypes.addressof(ctypes.c_char.from_buffer(self.mask))
        matcher.unsafe_compute_mask_ptr(begin, self._stride)
        self._check()
        if self.problem:
            self.mask[:] = bytes(self._stride)
        elif self._stops:
            self._amend(matcher)

    def _amend(self, matcher: LLMatcher) -> None:
        """Allow stop tokens where the grammar may end, and only there."""
        ends = self.compiled.token_texts().eos_tokens
        # The mask already shows it; asking the matcher is as much work again, under the lock.
        may_end = any(map(self._allows, ends)) if ends else matcher.is_accepting()
        for token in filter(self._is_token, self._stops):
            place, bit = token // 8, 1 << token % 8
            self.mask[place] = self.mask[place] & ~bit | (bit if may_end else 0)

    def _is_token(self, token: int) -> bool:
        return 0 <= token < self._stride * 8

    def _allows(self, token: int) -> bool:
        return self._is_token(token) and bool(self.mask[token // 8] >> token % 8 & 1)

    def _check(self) -> None:
        if self._matcher is not None and not self.problem and self._matcher.is_error():
            self.problem = explained(self._matcher.get_error())


def explained(error: str) -> str:
    """Return why a matcher failed, in one line that says what to change."""
    line = error.strip().partition("\n")[0].removesuffix(" <non-verbose/>")
    if any(sign in line.lower() for sign in _SIGNS_OF_LIMITS):
        return TOO_MUCH.format(line)
    return REFUSED + line
