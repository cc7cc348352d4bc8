"""What every dialect builds from a body: tokens, parameters, stop sequences, and the caller."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from rowcast.frontend.request.identity import Caller
from rowcast.sampling_params import SamplingParams

SEEDS = 2**63  # a request may use any seed below this
FRESH_SEEDS = 2**53  # exact in every JSON reader, JavaScript's too


def fresh_seed() -> int:
    """Return the seed for a request without one; the answer reports it."""
    return secrets.randbelow(FRESH_SEEDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A validated request for one reply, or for several choices of it, by number."""

    tokens: tuple[int, ...]
    params: SamplingParams
    seed: int
    caller: Caller
    dialect: str
    request_id: str
    stop: tuple[str, ...] = ()
    choices: Sequence[int] = (0,)
    timeout: float | None = None  # seconds that the request's body allows
    shown: tuple[tuple[int, str], ...] = ()  # special tokens that the text shows, and their names
