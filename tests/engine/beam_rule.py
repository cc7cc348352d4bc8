"""The beam search of the scripted model, computed a second time: whole hypotheses, and no rows."""

from collections.abc import Sequence
from dataclasses import dataclass
from operator import attrgetter
from typing import Any

from rowcast.scripted_vocabulary import END, TEXTS

from . import rule


@dataclass(frozen=True)
class Found:
    """A hypothesis, its log-probability, and, once it is complete, its rank and why it ended."""

    tokens: tuple[int, ...] = ()
    total: float = 0.0
    rank: float = 0.0
    reason: str = ""

    @property
    def text(self) -> str:
        return b"".join(TEXTS[token] for token in self.tokens).decode(errors="replace")


def searched(
    prompt: Sequence[int],
    beams: int,
    max_tokens: int,
    *,
    ends: frozenset[int] = frozenset({END}),
    min_tokens: int = 0,
    length_penalty: float = 1.0,
    early_stopping: Any = False,
) -> list[Found]:
    """Return the best hypotheses after a prompt, one for each beam, the best first."""
    going, complete = [Found()], list[Found]()
    for length in range(1, max_tokens + 1):
        found = sorted(
            [
                (each.total + more, -at, each, token)
                for at, each in enumerate(going)
                for token, more in rule.likeliest((*prompt, *each.tokens), 4 * beams)
                if token not in ends or length > min_tokens
            ],
            key=lambda each: -each[0],
        )
        going = []
        for place, (total, _, each, token) in enumerate(found):
            reason = "stop" if token in ends else "length" if length == max_tokens else ""
            tokens = each.tokens if reason == "stop" else (*each.tokens, token)
            if not reason:
                going.append(Found(tokens, total))
            elif place < beams:
                complete.append(Found(tokens, total, total / length**length_penalty, reason))
        going = going[:beams]
        complete = sorted(complete, key=attrgetter("rank"), reverse=True)[:beams]
        if not going or (len(complete) == beams and early_stopping is True):
            break
        hoped = max_tokens if early_stopping == "never" and length_penalty > 0 else length
        best = going[0].total / hoped**length_penalty
        if len(complete) == beams and best <= complete[-1].rank:
            break
    return complete
