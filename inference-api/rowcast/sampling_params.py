"""What a request may ask of the sampler, as the backend understands it.

Part of the wire's vocabulary: a frozen value, already validated by a dialect. A reply depends on
these, the prompt, the seed and the build, and on nothing else.
"""

import msgspec


class SamplingParams(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the next token is chosen, and when a reply ends."""

    max_tokens: int
    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    min_tokens: int = 0
    ignore_eos: bool = False
    stop_token_ids: tuple[int, ...] = ()
    logprobs: bool = False
