"""The sampling parameters of a request, as the backend understands them.

Part of the wire protocol: a frozen value, already validated by a dialect. A reply depends on
these, the prompt, the seed and the build, and on nothing else.
"""

import msgspec


class SamplingParams(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """How the next token is chosen, and when a reply ends."""

    max_tokens: int  # 0: the prompt is only scored
    temperature: float = 1.0  # 0 is greedy
    top_k: int = 0  # 0 and -1: off
    top_p: float = 1.0
    min_tokens: int = 0  # no end of text and no stop token before
    ignore_eos: bool = False  # the model's end of text is never drawn; stop tokens still are
    stop_token_ids: tuple[int, ...] = ()
    logprobs: bool = False
    top_logprobs: int = 0  # with `logprobs`: how many of the likeliest tokens to name
    prompt_logprobs: bool = False  # the prompt's own tokens are scored, as `Scored` events
    grammar: str = ""  # for llguidance; every reply that ends with `stop` follows it
    min_p: float = 0.0  # relative to the likeliest token's probability
    repetition_penalty: float = 1.0  # divides, for tokens of prompt and reply
    presence_penalty: float = 0.0  # subtracted once, for tokens of the reply
    frequency_penalty: float = 0.0  # subtracted once per occurrence in the reply
    logit_bias: tuple[tuple[int, float], ...] = ()  # tokens, and what is added to their logits
    allowed_tokens: tuple[int, ...] = ()  # empty: all
    banned_tokens: tuple[int, ...] = ()
