"""A reply on the backend, from its acceptance to its end.

It carries its own arithmetic: its tokens (prompt and reply so far), how many of them the engine has
(`fed`), how many it `lacks`, and why it ends. Knows no feed sizes, no transport and no engine.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from rowcast.transport.ports import FrontendId
from rowcast.wire import Embed, FinishReason, Limited, Pooled, ReplyKey, RowState, Submit

ReplyId = tuple[FrontendId, ReplyKey]
Group = tuple[FrontendId, str]  # the choices of one session


@dataclass(slots=True)
class Reply:
    """One reply on the backend, from its acceptance to its end."""

    frontend: FrontendId
    submit: Submit
    limit: int  # reply tokens that fit the context
    expires: float  # on the monotonic clock
    accepted: float
    row: int = -1
    fed: int = 0
    sent: int = 0  # reply tokens that the frontend has
    scored: int = 0  # prompt tokens whose scores were sent
    tokens: list[int] = field(default_factory=list)
    leader: Reply | None = None  # its row will hold the first `shared` of these tokens
    shared: int = 0
    found: int = 0  # prompt tokens that were computed for another request
    silent: bool = False  # it draws no tokens: its prompt is only scored, or becomes a vector
    unfed: int = 0  # 1 if the prompt is only scored: its last token predicts nothing
    unread: bool = False  # it computes a beam that no choice reads
    beams: int = 0  # of its search, each in a row of its own; 0: it is not part of a search
    credit: int = 0  # how many row-steps may still be left free for its search

    def __post_init__(self) -> None:
        delivered = self.submit.delivered or ()
        self.beams = self.submit.params.beams
        self.credit = self.beams * self.limit
        self.tokens = [*self.submit.prompt, *(() if self.beams else delivered)]
        self.sent = len(delivered)
        self.silent = self.limit == 0
        self.unfed = int(self.silent and self.pooling is None)

    @property
    def id(self) -> ReplyId:
        return (self.frontend, self.submit.key)

    @property
    def group(self) -> Group:
        """The replies with which it may share tokens and shares its allowance of rows."""
        return (self.frontend, self.submit.session)

    @property
    def rows_needed(self) -> int:
        """The number of rows for it alone, or for all beams of its search."""
        return max(1, self.beams)

    @property
    def prefix_key(self) -> str:
        """Names the replies that share computed tokens with it; empty: none outside its group."""
        return "" if self.is_fed_whole or self.beams else self.submit.prefix_key

    @property
    def team(self) -> str:
        """The team that owns the request; empty if no identity was verified."""
        return self.submit.team

    @property
    def length(self) -> int:
        """The number of reply tokens so far."""
        return len(self.tokens) - len(self.submit.prompt)

    @property
    def lacks(self) -> int:
        """The number of tokens that the engine must still be fed."""
        return len(self.tokens) - self.fed - self.unfed

    @property
    def most_steps(self) -> int:
        """The number of steps after which it has ended, if each feeds or draws only one token."""
        return len(self.submit.prompt) + self.limit - self.fed

    @property
    def scores(self) -> bool:
        """True if its prompt is scored. A frontend that has reply tokens already has the scores."""
        return self.submit.params.prompt_logprobs and not self.submit.delivered

    @property
    def state(self) -> RowState:
        """Its row, as frontends that watch the rows see it."""
        return RowState(
            row=self.row,
            team=self.team,
            stream=self.submit.stream,
            phase="prefill" if self.silent or self.lacks > 1 else "decode",
            prompt_tokens=len(self.submit.prompt),
            reply_tokens=self.length,
        )

    @property
    def pooling(self) -> Pooled | None:
        """How its prompt becomes a vector; None: its reply has tokens."""
        return self.submit.pooling if isinstance(self.submit, Embed) else None

    @property
    def logits(self) -> tuple[int, ...]:
        """The tokens whose logits are its vector, if it is pooled so."""
        return self.submit.logits if isinstance(self.submit, Embed) else ()

    @property
    def dyn_batch(self) -> int:
        """How many of its team's replies with such a limit may be seated at once; 0: any number."""
        return self.submit.dyn_batch if isinstance(self.submit, Limited) else 0

    @property
    def is_fed_whole(self) -> bool:
        """True if every token of its prompt must be fed: none may be copied from another row."""
        return self.scores or self.pooling == "mean"

    @property
    def done(self) -> bool:
        """True if it has all tokens and scores, or the vector, that it may have."""
        reads_prompt = self.scores or self.pooling is not None
        return self.length >= self.limit and not (reads_prompt and self.lacks)

    @property
    def proven(self) -> bool:
        """True once this backend has produced a token or score that the frontend did not have."""
        return self.scored > 0 or self.length > len(self.submit.delivered or ())

    @property
    def suspect(self) -> bool:
        """True if more than one backend ended while it was seated without progress."""
        return self.submit.deaths > 1

    def take(self, drawn: tuple[int, ...], end_tokens: frozenset[int]) -> FinishReason | None:
        """Append drawn tokens up to the reply's end; return the finish reason, None to continue."""
        for token in drawn:
            if self._ends_with(token, end_tokens):
                return "stop"
            self.tokens.append(token)
            if self.length >= self.limit:
                return "length"
        return "length" if self.silent and not self.lacks else None

    def _ends_with(self, token: int, end_tokens: frozenset[int]) -> bool:
        params = self.submit.params
        if self.length < params.min_tokens:
            return False
        return token in params.stop_token_ids or (token in end_tokens and not params.ignore_eos)
