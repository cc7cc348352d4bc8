"""Counters by team, with a bound on their number.

The first `most` teams that any process serves have a series each; all others share one. A team
keeps its series while the server runs: a counter must not move to another.
"""

from dataclasses import dataclass

from rowcast.frontend.metrics import families
from rowcast_metrics.memory import Memory
from rowcast_metrics.recorder import Counter, Recorder

OTHERS = "other"


@dataclass(frozen=True, slots=True)
class _Team:
    replies: Counter
    prompt_tokens: Counter
    reply_tokens: Counter


class TeamCounters:
    """The series of teams in this process."""

    def __init__(self, recorder: Recorder, memory: Memory, most: int) -> None:
        """`most`: how many teams have series of their own; 0: no team is counted."""
        self._recorder = recorder
        self._memory = memory
        self._most = most
        self._counters: dict[str, _Team] = {}

    def ended(self, team: str, prompt_tokens: int, reply_tokens: int) -> None:
        """Count a reply to a team."""
        if not self._most:
            return
        counters = self._counters.get(team) or self._of(team)
        counters.replies.add()
        counters.prompt_tokens.add(prompt_tokens)
        counters.reply_tokens.add(reply_tokens)

    def _of(self, team: str) -> _Team:
        """Return a team's counters, or those of all others."""
        shown = team if self._memory.register(team, self._most) else OTHERS
        if shown not in self._counters:
            self._counters[shown] = _Team(
                self._recorder.counter(families.TEAM_REPLIES, shown),
                self._recorder.counter(families.TEAM_PROMPT_TOKENS, shown),
                self._recorder.counter(families.TEAM_REPLY_TOKENS, shown),
            )
        return self._counters[shown]
