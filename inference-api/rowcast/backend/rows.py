"""The fixed set of rows: which reply is in which row, its progress, and why it ends.

A `Reply` carries its own arithmetic: its tokens (prompt and reply so far), how many of them the
engine has (`fed`), how many it `lacks`. `Rows` seats replies and evicts them; a free row holds no
reply. Knows no feed sizes, no transport and no engine.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from typing import TypeVar

from rowcast.transport.ports import FrontendId
from rowcast.wire import FinishReason, ReplyKey, Submit

ReplyId = tuple[FrontendId, ReplyKey]
Group = tuple[FrontendId, str]  # the choices of one session
_Key = TypeVar("_Key", Group, str)


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
    unfed: int = 0  # 1 if the prompt is only scored: its last token predicts nothing

    def __post_init__(self) -> None:
        self.tokens = [*self.submit.prompt, *(self.submit.delivered or ())]
        self.sent = self.length
        self.unfed = int(self.limit == 0)

    @property
    def id(self) -> ReplyId:
        return (self.frontend, self.submit.key)

    @property
    def group(self) -> Group:
        """The replies with which it may share tokens and shares its allowance of rows."""
        return (self.frontend, self.submit.session)

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
    def scores(self) -> bool:
        """True if its prompt is scored. A frontend that has reply tokens already has the scores."""
        return self.submit.params.prompt_logprobs and not self.submit.delivered

    @property
    def done(self) -> bool:
        """True if it has all tokens and scores that it may have."""
        return self.length >= self.limit and not (self.scores and self.lacks)

    @property
    def proven(self) -> bool:
        """True once this backend has produced a token or score for this reply."""
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
        return "length" if self.unfed and not self.lacks else None

    def _ends_with(self, token: int, end_tokens: frozenset[int]) -> bool:
        params = self.submit.params
        if self.length < params.min_tokens:
            return False
        return token in params.stop_token_ids or (token in end_tokens and not params.ignore_eos)


class Roster:
    """Replies in the order in which they joined, by id, by group and by team."""

    def __init__(self) -> None:
        self._replies: dict[ReplyId, Reply] = {}
        self._groups: dict[Group, dict[ReplyId, Reply]] = {}
        self._teams: dict[str, dict[ReplyId, Reply]] = {}

    def __len__(self) -> int:
        return len(self._replies)

    def __iter__(self) -> Iterator[Reply]:
        return iter(self._replies.values())

    def join(self, reply: Reply) -> None:
        self._replies[reply.id] = reply
        self._groups.setdefault(reply.group, {})[reply.id] = reply
        self._teams.setdefault(reply.team, {})[reply.id] = reply

    def leave(self, reply: Reply) -> None:
        del self._replies[reply.id]
        _remove(self._groups, reply.group, reply.id)
        _remove(self._teams, reply.team, reply.id)

    def find(self, reply_id: ReplyId) -> Reply | None:
        return self._replies.get(reply_id)

    def of(self, group: Group) -> Collection[Reply]:
        """Return the replies of one group."""
        return self._groups.get(group, {}).values()

    def of_team(self, team: str) -> Collection[Reply]:
        """Return the replies of one team, in the order in which they joined."""
        return self._teams.get(team, {}).values()

    @property
    def teams(self) -> int:
        """The number of teams that have replies here."""
        return len(self._teams)

    def team_counts(self) -> Iterator[tuple[str, int]]:
        """Yield each team that has replies here, with their number."""
        return ((team, len(replies)) for team, replies in self._teams.items())


def _remove(parts: dict[_Key, dict[ReplyId, Reply]], key: _Key, reply_id: ReplyId) -> None:
    """Remove a reply from its part; delete the part when it is empty."""
    part = parts[key]
    del part[reply_id]
    if not part:
        del parts[key]


class Rows(Roster):
    """The rows. Iterates over the seated replies in the order of their seating."""

    def __init__(self, count: int) -> None:
        super().__init__()
        self.count = count
        self._free = list(range(count - 1, -1, -1))
        self._by_row: dict[int, Reply] = {}

    @property
    def free(self) -> int:
        return len(self._free)

    def seat(self, reply: Reply) -> None:
        reply.row = self._free.pop()
        self._by_row[reply.row] = reply
        self.join(reply)

    def evict(self, reply: Reply) -> None:
        self.leave(reply)
        del self._by_row[reply.row]
        self._free.append(reply.row)

    def at(self, row: int) -> Reply:
        return self._by_row[row]
