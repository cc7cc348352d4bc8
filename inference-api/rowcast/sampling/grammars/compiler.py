"""Compiled grammars: made outside the step, once for all rows that use the same one, and cached.

    grammar, team ─▶ a lane of two threads, at most one per team ─▶ matcher or problem

A grammar that no row needs any more is not compiled. The cache is bounded in number and in bytes;
a row keeps a reference to the grammar that it uses. Knows no rows, no tokens of replies, no masks.
"""

import threading
from collections import OrderedDict
from collections.abc import Callable

from llguidance import LLMatcher, LLParserLimits, LLTokenizer

from rowcast import grammar_limits as limits
from rowcast.errors import RowcastError
from rowcast.sampling.grammars.beginnings import Beginnings
from rowcast.sampling.grammars.lanes import Job, Lane
from rowcast.sampling.grammars.token_bytes import TokenBytes
from rowcast.text.chat.call_beginning import beginning_of

THREADS = 2
PATIENCE = 0.1  # seconds at full priority


class Compiled:
    """One grammar, compiled or in progress."""

    def __init__(self, grammar: str, team: str, tokens: TokenBytes) -> None:
        self.grammar = grammar
        self.users = 0
        self.slow = False  # its last mask took long
        self.problem = ""
        self._matcher: LLMatcher | None = None
        self.tokens = tokens
        self.token_texts = tokens.load  # loads the texts of the model's tokens
        self.beginnings: Beginnings | None = None  # None: the grammar applies to the whole reply
        self._limits = LLParserLimits(**limits.PARSER)
        self._claimed = threading.Lock()
        self.jobs = [Job(team, self._compile)]
        try:
            beginning = beginning_of(grammar)
        except ValueError as error:
            self.problem = str(error)
        else:
            self.beginnings = Beginnings(beginning, tokens) if beginning else None

    @property
    def done(self) -> bool:
        if self._matcher is not None or self.problem:
            return True
        for job in self.jobs:
            if job.error is not None:
                raise job.error
        return False

    @property
    def begun(self) -> bool:
        return any(job.started for job in self.jobs)

    def matcher(self) -> LLMatcher | None:
        """Return a new matcher for a reply; None if there is a problem."""
        return None if self._matcher is None else self._matcher.deep_copy()

    def claim_turn(self, team: str) -> Job | None:
        """Return a job in the turn of one more team; None if it is not needed."""
        if self.begun or any(job.team == team for job in self.jobs):
            return None
        self.jobs.append(Job(team, self._compile))
        return self.jobs[-1]

    def _compile(self) -> None:
        if not self._claimed.acquire(blocking=False):
            return  # another team's turn came first
        try:
            made = LLMatcher(self.token_texts(), self.grammar, log_level=0, limits=self._limits)
        except (RowcastError, ValueError, OSError) as error:
            self.problem = str(error)
            return
        self._matcher = made


class Compiler:
    """The grammars of one backend."""

    def __init__(self, load: Callable[[], LLTokenizer]) -> None:
        self._tokens = TokenBytes(load)
        self._compiled: OrderedDict[str, Compiled] = OrderedDict()
        self._lane = Lane(
            "grammar-compiler",
            threads=THREADS,
            patience=PATIENCE,
            stack_bytes=limits.STACK_BYTES,
            shared=True,
        )

    def __len__(self) -> int:
        return len(self._compiled)

    @property
    def bytes(self) -> int:
        """The estimated size of the cache."""
        return sum(limits.compiled_bytes(grammar) for grammar in self._compiled)

    def acquire(self, grammar: str, team: str) -> Compiled:
        """Return the compiled grammar, for one more reply of this team."""
        compiled = self._compiled.get(grammar)
        if compiled is None:
            compiled = self._compiled[grammar] = Compiled(grammar, team, self._tokens)
            self._lane.add(compiled.jobs)
        elif (job := compiled.claim_turn(team)) is not None:
            self._lane.add([job])
        compiled.users += 1
        self._compiled.move_to_end(grammar)
        while len(self._compiled) > 1 and (
            len(self._compiled) > limits.COMPILED or self.bytes > limits.COMPILED_BYTES
        ):
            self._compiled.popitem(last=False)
        return compiled

    def release(self, compiled: Compiled) -> None:
        """Release the grammar for one reply."""
        compiled.users -= 1
        if compiled.users or compiled.begun:
            return
        for job in compiled.jobs:
            self._lane.cancel(job)
        if not compiled.begun and self._compiled.get(compiled.grammar) is compiled:
            del self._compiled[compiled.grammar]

    def watch(self) -> None:
        """Prevent a slow grammar from blocking a thread of the lane."""
        self._lane.watch()
