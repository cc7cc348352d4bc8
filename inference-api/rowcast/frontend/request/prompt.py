"""What every dialect builds from a body: tokens, parameters and stop sequences."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from rowcast.sampling_params import SamplingParams
from rowcast.wire import Pooled

SEEDS = 2**63  # a request may use any seed below this
FRESH_SEEDS = 2**53  # exact in every JSON reader, JavaScript's too


def fresh_seed() -> int:
    """Return the seed for a request without one; the answer reports it."""
    return secrets.randbelow(FRESH_SEEDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A validated request for one reply, or for several choices of it, by number."""

    tokens: tuple[int, ...]
    text: str = ""  # of the tokens, if it is to be echoed
    params: SamplingParams
    seed: int
    dialect: str
    stop: tuple[str, ...] = ()
    choices: Sequence[int] = (0,)
    timeout: float | None = None  # seconds that the request's body allows
    dyn_batch: int = 0  # how many of its team's replies with such a limit share a step; 0: any
    pooling: Pooled | None = None  # how it becomes a vector; None: its reply has tokens
    logits: tuple[int, ...] = ()  # of these tokens, if it is pooled so
    cache_salt: str = ""  # prompts with another one share no computed prefix
    shown: tuple[tuple[int, str], ...] = ()  # special tokens that the text shows, and their names
