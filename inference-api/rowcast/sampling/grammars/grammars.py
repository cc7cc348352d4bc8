"""Grammars of replies: for each row a matcher, and a mask of the tokens that may come next.

    grammar ─ compile ─▶ matcher ─ drawn or fed reply tokens ─▶ mask, one bit per token

Compiling and masks have threads of their own. A row is `ready` when its matcher is. `prepare`
starts masks, which are computed while the model computes the logits; `finish` waits for them, but
not for long. A row whose mask is late is set aside: it is not ready until the mask is done, then it
is fed its last token again, and draws. A row's mask is a function of its grammar and its reply's
tokens; no mask outlives a backend, because the reply is fed again.

A grammar of calls applies from the beginning of each call on: a row whose text is free draws
without a mask, and does not wait for its grammar.

An end of text, and the caller's stop tokens, may come only where the grammar may end. Knows no
torch, no logits and no other parameters.
"""

import threading
import time
from collections.abc import Callable, Sequence
from functools import partial

from llguidance import LLTokenizer, TokenizerWrapper

from rowcast import grammar_limits as limits
from rowcast.errors import RowcastError
from rowcast.sampling.grammars.call_rule import CallRule
from rowcast.sampling.grammars.compiler import Compiled, Compiler
from rowcast.sampling.grammars.lanes import Job, Lane
from rowcast.sampling.grammars.rule import Rule, TokenConsumer
from rowcast.sampling_params import SamplingParams

STEP_SECONDS = 0.02  # maximum wait of a step for masks once the logits are done
PATIENCE = 0.005  # time that one mask may delay those behind it
QUICK = 0.002  # CPU time: a faster mask makes a slow grammar quick again
MASK_SECONDS = 60.0  # after which a mask is abandoned
TokenTexts = LLTokenizer  # the text of each token


class TokenTextsUnknown(RowcastError):
    """The texts of this model's tokens are unknown."""


class Grammars:
    """The grammars of all rows; rows without one cost nothing."""

    def __init__(self, rows: int, size: int, load: Callable[[], TokenTexts]) -> None:
        self._size = size
        self.stride = -(-size // 32) * 4  # bytes per row's mask
        self.masks = bytearray(rows * self.stride)
        self._load = load
        self._token_texts: TokenTexts | None = None
        self._loading = threading.Lock()
        self._consumer = TokenConsumer()
        self._rules: dict[int, Rule | CallRule] = {}
        self._jobs: dict[int, Job] = {}  # of rows whose rule is being advanced
        self._teams: dict[int, str] = {}
        self._waiting: list[int] = []  # rows whose masks were started
        self._unmade: set[int] = set()  # rows whose masks wait until their grammar is compiled
        self.compiler = Compiler(self._load_token_texts)
        lane = partial(Lane, "grammar-masker", stack_bytes=limits.STACK_BYTES)
        self._quick = lane(patience=PATIENCE)
        self._slow = lane(patience=MASK_SECONDS, low=True)

    def seat(self, row: int, params: SamplingParams, team: str = "") -> None:
        """Start a new reply in a row."""
        self.leave(row)
        if params.grammar:
            compiled = self.compiler.acquire(params.grammar, team)
            self._rules[row] = self._rule(compiled, params.stop_token_ids)
            self._teams[row] = team

    def _rule(self, compiled: Compiled, stops: Sequence[int]) -> Rule | CallRule:
        if compiled.beginnings is None:
            return Rule(compiled, stops, self.stride, self._consumer)
        return CallRule(compiled, compiled.beginnings, stops, self.stride, self._consumer)

    def __bool__(self) -> bool:
        """True if any row has a grammar."""
        return bool(self._rules)

    def leave(self, row: int) -> None:
        """Free the row and cancel its work."""
        rule, job = self._rules.pop(row, None), self._jobs.pop(row, None)
        self._unmade.discard(row)
        if rule is not None:
            self.compiler.release(rule.compiled)
        if job is not None and not self._quick.cancel(job):
            self._slow.cancel(job)

    def ready(self, row: int) -> bool:
        """True if the row can be fed: it waits for no grammar, and none of its masks is late."""
        rule = self._rules.get(row)
        if rule is None:
            return True
        if rule.waits:
            self.compiler.watch()
            return False
        self._unmade.discard(row)
        job = self._jobs.get(row)
        return job is None or self._over(row, rule, job)

    def free(self, row: int) -> bool:
        """True if the row's next token needs no mask."""
        rule = self._rules.get(row)
        return rule is None or rule.free

    def observe(self, row: int, tokens: Sequence[int]) -> None:
        """Note reply tokens that the row is fed, each once."""
        rule = self._rules.get(row)
        if rule is not None:
            rule.observe(tokens)

    def prepare(self, rows: Sequence[int]) -> None:
        """Start computing the masks of rows that are about to draw."""
        self._waiting = [row for row in rows if row in self._rules and not self.free(row)]
        wanted = [row for row in self._waiting if row not in self._jobs]
        rules = self._rules
        self._advance([row for row in wanted if not (rules[row].masked or rules[row].waits)])

    def finish(self) -> Sequence[int]:
        """Wait for the masks that were started; return the rows whose masks are done.

        A row that needs no mask is not among them, and is not late.
        """
        waiting, self._waiting = self._waiting, []
        if self._jobs:
            self._quick.settle(STEP_SECONDS)
        settled = [row for row in waiting if self._settled(row)]
        there = [row for row in settled if self._rules[row].masked]
        if len(there) < len(settled):
            self._unmade.update(row for row in settled if row not in there and not self.free(row))
        for row in there:
            begin = row * self.stride
            self.masks[begin : begin + self.stride] = self._rules[row].mask
        return there

    def late(self, row: int) -> bool:
        """True if the row is set aside."""
        return row in self._jobs or row in self._unmade

    def take(self, row: int, token: int) -> bool:
        """Note a token drawn for the row; False if the row is set aside until it is consumed."""
        rule = self._rules.get(row)
        if rule is None or rule.take(token):
            return True
        self._advance([row])
        return False

    def whole(self, row: int) -> bool:
        """True if nothing can follow the tokens that the row was fed."""
        rule = self._rules.get(row)
        return rule is not None and rule.whole

    def ended(self, row: int) -> bool:
        """True if the row's reply is complete, and nothing can follow."""
        rule = self._rules.get(row)
        return rule is not None and rule.ended

    def problem(self, row: int) -> str:
        """Return why the row's grammar cannot be followed; empty if it can."""
        rule = self._rules.get(row)
        return "" if rule is None else rule.problem

    def allowed(self, row: int) -> bytes:
        """Return the row's mask."""
        return bytes(self.masks[row * self.stride : (row + 1) * self.stride])

    def _advance(self, rows: Sequence[int]) -> None:
        """Make these rows' rules consume their pending tokens, and compute their masks."""
        quick: list[Job] = []
        slow: list[Job] = []
        for row in rows:
            rule = self._rules[row]
            job = self._jobs[row] = Job(
                self._teams[row], partial(_timed, rule), partial(_mark_slow, rule)
            )
            (slow if rule.compiled.slow else quick).append(job)
        if quick:
            self._quick.add(quick)
        if slow:
            self._slow.add(slow)

    def _settled(self, row: int) -> bool:
        """True if the row has no running job; raise a job's error."""
        job = self._jobs.get(row)
        if job is not None and not job.done:
            return False
        self._jobs.pop(row, None)
        if job is not None and job.error is not None:
            raise job.error
        return True

    def _over(self, row: int, rule: Rule | CallRule, job: Job) -> bool:
        """True if a row that was set aside may draw now."""
        if self._settled(row):
            return True
        if not job.started or time.monotonic() - job.began < MASK_SECONDS:
            return False
        self._slow.watch()
        rule.compiled.problem = "its masks take too long"
        self._rules[row] = rule.abandoned()
        del self._jobs[row]
        return True

    def _load_token_texts(self) -> TokenTexts:
        with self._loading:
            if self._token_texts is None:
                self._token_texts = self._fitting(self._load())
            return self._token_texts

    def _fitting(self, token_texts: TokenTexts) -> TokenTexts:
        """Return the token texts if they fit; masks of another size would fail every row."""
        if -(-token_texts.vocab_size // 32) * 4 != self.stride:
            raise TokenTextsUnknown(
                f"{token_texts.vocab_size} of its {self._size} tokens have a text"
            )
        return token_texts


def _mark_slow(rule: Rule | CallRule) -> None:
    rule.compiled.slow = True


def _timed(rule: Rule | CallRule) -> None:
    """Advance a rule, and note when a slow grammar has become quick."""
    before = time.thread_time()
    rule.advance()
    if time.thread_time() - before < QUICK:
        rule.compiled.slow = False


def token_texts_of_file(text: str, size: int, ends: frozenset[int]) -> TokenTexts:
    """Return the tokens of a model, from the text of its `tokenizer.json`."""
    return LLTokenizer(text, n_vocab=size, eos_token=sorted(ends) or None)


def token_texts_of(texts: Sequence[bytes], end: int, size: int) -> TokenTexts:
    """Return tokens with these texts, single bytes first; the rest, up to `size`, are empty."""
    silent = [b""] * (size - len(texts))
    return LLTokenizer(TokenizerWrapper(_Texts([*texts, *silent], end)))


class _Texts:
    """The tokenizer interface of llguidance."""

    bos_token_id = None

    def __init__(self, tokens: list[bytes], end: int) -> None:
        self.tokens = tokens
        self.eos_token_id = end
        self.special_token_ids = [end]

    def __call__(self, text: bytes) -> list[int]:
        return list(text)
