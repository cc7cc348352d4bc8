"""What every dialect builds from a body: tokens, parameters, stop sequences, and who asks."""

from dataclasses import dataclass

from rowcast.frontend.identity import Caller
from rowcast.sampling_params import SamplingParams


@dataclass(frozen=True, slots=True, kw_only=True)
class Prompt:
    """A validated request for one reply, or several choices of it."""

    tokens: tuple[int, ...]
    params: SamplingParams
    seed: int
    caller: Caller
    dialect: str
    request_id: str
    stop: tuple[str, ...] = ()
    choices: int = 1
