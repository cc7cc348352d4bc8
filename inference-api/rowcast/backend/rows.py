"""The fixed set of rows: who sits where, how far each has come, and why a reply ends.

A `Reply` carries its own arithmetic: its tokens (prompt + reply so far), how many of them the
engine has (`fed`), how many it `lacks`. `Rows` seats replies and evicts them; a free row is one
that nobody holds. Nothing here knows the sizes of feeds, a transport or the engine.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field

from rowcast.transport.ports import FrontendId
from rowcast.wire import FinishReason, ReplyKey, Submit

ReplyId = tuple[FrontendId, ReplyKey]


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
    unfed: int = 0  # nothing follows the last token of a prompt that is only scored

    def __post_init__(self) -> None:
        self.tokens = [*self.submit.prompt, *(self.submit.delivered or ())]
        self.sent = self.length
        self.unfed = int(self.limit == 0)

    @property
    def id(self) -> ReplyId:
        return (self.frontend, self.submit.key)

    @property
    def length(self) -> int:
        """Reply tokens so far."""
        return len(self.tokens) - len(self.submit.prompt)

    @property
    def lacks(self) -> int:
        """Tokens that the engine must still be fed."""
        return len(self.tokens) - self.fed - self.unfed

    @property
    def scores(self) -> bool:
        """Whether its prompt is scored. A frontend that has reply tokens has had the scores."""
        return self.submit.params.prompt_logprobs and not self.submit.delivered

    @property
    def done(self) -> bool:
        """Whether it has all the tokens and scores that it may have."""
        return self.length >= self.limit and not (self.scores and self.lacks)

    def take(self, drawn: tuple[int, ...], end_tokens: frozenset[int]) -> FinishReason | None:
        """Append what was drawn, up to the reply's end; say why it ends, if it does."""
        for token in drawn:
            if self._ends_with(token, end_tokens):
                return "stop"
            self.tokens.append(token)
            if self.length >= self.limit:
                return "length"
        return "length" if self.unfed and not self.lacks else None

    def _ends_with(self, token: int, end_tokens: frozenset[int]) -> bool:
        params = self.submit.params
        if self.length < params.min_tokens:
            return False
        return token in params.stop_token_ids or (token in end_tokens and not params.ignore_eos)


class Rows:
    """The seats. Iterates over the seated replies in the order of their seating."""

    def __init__(self, count: int) -> None:
        self._free = list(range(count - 1, -1, -1))
        self._seated: dict[ReplyId, Reply] = {}
        self._by_row: dict[int, Reply] = {}

    @property
    def free(self) -> int:
        return len(self._free)

    def __len__(self) -> int:
        return len(self._seated)

    def __iter__(self) -> Iterator[Reply]:
        return iter(self._seated.values())

    def seat(self, reply: Reply) -> None:
        reply.row = self._free.pop()
        self._seated[reply.id] = reply
        self._by_row[reply.row] = reply

    def evict(self, reply: Reply) -> None:
        del self._seated[reply.id]
        del self._by_row[reply.row]
        self._free.append(reply.row)

    def find(self, reply_id: ReplyId) -> Reply | None:
        return self._seated.get(reply_id)

    def at(self, row: int) -> Reply:
        return self._by_row[row]
