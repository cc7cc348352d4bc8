"""Grammars of replies: for each row a matcher, and a mask of the tokens that may come next.

    grammar ─ compile ─▶ matcher ─ what is drawn or fed of the reply ─▶ mask, one bit a token

Compiling and masks have threads of their own: a row is `ready` when its matcher is there, and
`prepare` begins masks that are computed while the model computes the logits. A row's mask is a
function of its grammar and its reply's tokens; nothing of it outlives a backend, it is fed again.
An end of text, and the caller's stop tokens, may come only where the grammar may end.
Knows no torch, no logits and no other parameters.
"""

import ctypes
from collections import OrderedDict
from collections.abc import Callable, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass

from llguidance import LLExecutor, LLMatcher, LLParserLimits, LLTokenizer, TokenizerWrapper

from rowcast.errors import RowcastError
from rowcast.sampling_params import SamplingParams

MASK_SECONDS = 60.0
KEPT = 64  # compiled grammars
Speech = LLTokenizer  # what each token says
_REFUSED = "the reply's grammar cannot be followed: "


class Unspeakable(RowcastError):
    """This model's tokens have no text that is known here."""


@dataclass(slots=True)
class _Rule:
    """One row's grammar, and how far its reply has come."""

    compiled: Future[LLMatcher]
    stops: tuple[int, ...]
    matcher: LLMatcher | None = None
    observed: int = 0  # reply tokens that the row was fed
    consumed: int = 0  # reply tokens that the matcher has had
    problem: str = ""

    def begin(self) -> LLMatcher | None:
        """The row's own matcher; None when it has a problem."""
        if self.matcher is None and not self.problem:
            try:
                self.matcher = self.compiled.result(MASK_SECONDS).deep_copy()
            except (RowcastError, ValueError, OSError) as error:
                self.problem = f"{_REFUSED}{error}"
        self.check()
        return None if self.problem else self.matcher

    def check(self) -> None:
        if self.matcher is not None and self.matcher.is_error():
            self.problem = self.problem or _REFUSED + self.matcher.get_error().partition("\n")[0]

    @property
    def ended(self) -> bool:
        """Whether nothing can follow."""
        return self.matcher is not None and self.matcher.is_stopped() and not self.problem


class Grammars:
    """The grammars of all rows; rows without one cost nothing."""

    def __init__(self, rows: int, size: int, load: Callable[[], Speech]) -> None:
        self._size = size
        self.stride = -(-size // 32) * 4  # bytes of a row's mask
        self.masks = bytearray(rows * self.stride)
        self._begin = ctypes.addressof((ctypes.c_char * len(self.masks)).from_buffer(self.masks))
        self._load = load
        self._speech: Speech | None = None
        self._limits = LLParserLimits(verbose_errors=False)
        self._compiled: OrderedDict[str, Future[LLMatcher]] = OrderedDict()
        self._rules: dict[int, _Rule] = {}
        self._compiler = ThreadPoolExecutor(1, "grammar-compiler")
        self._masker = ThreadPoolExecutor(1, "grammar-masker")
        self._executor: LLExecutor | None = None
        self._masking: Future[Sequence[int]] | None = None

    def seat(self, row: int, params: SamplingParams) -> None:
        """Begin a row anew."""
        self._rules.pop(row, None)
        if params.grammar:
            self._rules[row] = _Rule(self._compile(params.grammar), params.stop_token_ids)

    def ready(self, row: int) -> bool:
        """Whether the row can be masked without waiting for its grammar."""
        rule = self._rules.get(row)
        return rule is None or rule.compiled.done()

    def observe(self, row: int, tokens: Sequence[int]) -> None:
        """Note reply tokens that the row is fed; those that were drawn here are known."""
        rule = self._rules.get(row)
        if rule is None or not tokens:
            return
        fresh = list(tokens[max(0, rule.consumed - rule.observed) :])
        rule.observed += len(tokens)
        if fresh and (matcher := rule.begin()) is not None:
            rule.consumed += len(fresh)
            matcher.consume_tokens(fresh)

    def prepare(self, rows: Sequence[int]) -> None:
        """Begin to compute the masks of rows that are about to draw."""
        if not self._rules:
            return
        masked = [row for row in rows if row in self._rules]
        if masked:
            self._masking = self._masker.submit(self._mask, masked)

    def finish(self) -> Sequence[int]:
        """Wait for the masks that were begun; whose they are."""
        masking, self._masking = self._masking, None
        return () if masking is None else masking.result(MASK_SECONDS)

    def take(self, row: int, token: int) -> None:
        """Note a token that was drawn for the row."""
        rule = self._rules.get(row)
        if rule is not None and rule.matcher is not None:
            rule.matcher.try_consume_tokens([token])  # a stop token of the caller's is not its own
            rule.consumed += 1

    def ended(self, row: int) -> bool:
        """Whether the row's reply is whole, and nothing can follow."""
        rule = self._rules.get(row)
        return rule is not None and rule.ended

    def problem(self, row: int) -> str:
        """Why the row's grammar cannot be followed, if so."""
        rule = self._rules.get(row)
        return "" if rule is None else rule.problem

    def allowed(self, row: int) -> bytes:
        """The row's mask."""
        return bytes(self.masks[row * self.stride : (row + 1) * self.stride])

    def _compile(self, grammar: str) -> Future[LLMatcher]:
        compiled = self._compiled.get(grammar)
        if compiled is None:
            compiled = self._compiler.submit(self._matcher, grammar)
            self._compiled[grammar] = compiled
        self._compiled.move_to_end(grammar)
        if len(self._compiled) > KEPT:
            self._compiled.popitem(last=False)
        return compiled

    def _matcher(self, grammar: str) -> LLMatcher:
        if self._speech is None:
            self._speech = self._fitting(self._load())
        return LLMatcher(self._speech, grammar, log_level=0, limits=self._limits)

    def _fitting(self, speech: Speech) -> Speech:
        """Masks of another size would end everybody's step."""
        if -(-speech.vocab_size // 32) * 4 != self.stride:
            raise Unspeakable(f"{speech.vocab_size} of its {self._size} tokens have a text")
        return speech

    def _mask(self, rows: Sequence[int]) -> Sequence[int]:
        matchers = [(self._rules[row].begin(), row) for row in rows]
        sound = [(matcher, row) for matcher, row in matchers if matcher is not None]
        if self._executor is None:
            self._executor = LLExecutor()
        if sound:
            count = len(self.masks) // self.stride
            self._executor.unsafe_compute_mask_ptr(sound, self._begin, self.stride, count)
        for row in rows:
            self._amend(row)
        return rows

    def _amend(self, row: int) -> None:
        """A rule that has failed allows nothing; stop tokens may come where the grammar may end."""
        rule, begin = self._rules[row], row * self.stride
        rule.check()
        if rule.problem or rule.matcher is None:
            self.masks[begin : begin + self.stride] = bytes(self.stride)
            return
        may_end = rule.matcher.is_accepting()
        for token in rule.stops:
            place, bit = begin + token // 8, 1 << token % 8
            if 0 <= token < self.stride * 8:
                self.masks[place] = self.masks[place] & ~bit | (bit if may_end else 0)


def speech_of_file(text: str, size: int, ends: frozenset[int]) -> Speech:
    """The tokens of a model, from the text of its `tokenizer.json`."""
    return LLTokenizer(text, n_vocab=size, eos_token=sorted(ends) or None)


def speech_of_texts(texts: Sequence[bytes], end: int, size: int) -> Speech:
    """Tokens that are these bytes, each byte by itself first; the rest, to `size`, say nothing."""
    silent = [b""] * (size - len(texts))
    return LLTokenizer(TokenizerWrapper(_Texts([*texts, *silent], end)))


class _Texts:
    """As llguidance wants a tokenizer."""

    bos_token_id = None

    def __init__(self, tokens: list[bytes], end: int) -> None:
        self.tokens = tokens
        self.eos_token_id = end
        self.special_token_ids = [end]

    def __call__(self, text: bytes) -> list[int]:
        return list(text)
