"""What every dialect builds from a body: tokens, parameters, stop sequences, and who asks."""

import secrets
from collections.abc import Sequence
from dataclasses import dataclass

from rowcast.frontend.request.identity import Caller
from rowcast.sampling_params import SamplingParams

SEEDS = 2**63  # a request may ask for any below this
FRESH_SEEDS = 2**53  # in every JSON reader, JavaScript's too


def fresh_seed() -> int:
    """For a request that asks for none; it is told which one it got."""
    return secrets.randbelow(FRESH_SEEDS)


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A validated request for one reply, or several choices of it, by their numbers."""

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
