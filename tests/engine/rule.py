"""The scripted model's rule as documented: slow, complete, and without any state.

Each token is computed from all tokens before it, so that a mistake in the state that the engine
keeps between steps cannot hide here. It shares no code with the engine.
"""

import array
import hashlib
import math
import struct
import zlib
from collections.abc import Sequence

END = 256
LEADS = [0xC3, 0xC4, 0xC5, 0xCE, 0xCF, 0xD0, 0xD1, 0xE4, 0xE5, 0xE6, 0xE7, 0xE8, 0xE9, *[0xF0] * 3]


def missing_bytes(tokens: Sequence[int]) -> int:
    """Return how many bytes the last UTF-8 character still lacks."""
    for given, token in enumerate(reversed(tokens)):
        if not 0x80 <= token <= 0xBF:
            return max(_following(token) - given, 0)
    return 0


def _following(token: int) -> int:
    """Return how many bytes have to follow this one in a character."""
    if 0xC2 <= token <= 0xDF:
        return 1
    if 0xE0 <= token <= 0xEF:
        return 2
    return 3 if 0xF0 <= token <= 0xF4 else 0


def packed(tokens: Sequence[int]) -> bytes:
    return struct.pack(f"<{len(tokens)}I", *tokens)


def noise(tokens: Sequence[int], seed: int, choice: int, position: int) -> int:
    crc = zlib.crc32(packed(tokens))
    x = zlib.crc32(struct.pack("<QII", seed, choice, position), crc)
    x = ((x ^ (x >> 16)) * 0x45D9F3B) % 2**32
    return x ^ (x >> 16)


def next_token(
    tokens: Sequence[int], seed: int, choice: int, position: int, *, may_end: bool = True
) -> int:
    """Return the token after `tokens`, number `position` of the reply."""
    x = noise(tokens, seed, choice, position)
    if missing_bytes(tokens):
        if tokens[-1] == 0xF0:
            return 0x9F
        return 0x98 if list(tokens[-2:]) == [0xF0, 0x9F] else 0x80 + x % 64
    r, y = x % 512, x // 512
    if r == 0 and may_end:
        return END
    if 0 < r < 32:
        return LEADS[y % 16]
    if 0 < r < 64:
        return b".,!?;:-\n"[y % 8]
    return 257 + y % 3600


def next_among(
    tokens: Sequence[int], seed: int, choice: int, position: int, allowed: Sequence[int]
) -> int:
    """Return the token after `tokens` if only `allowed` ones are possible."""
    x = noise(tokens, seed, choice, position)
    if x < 2**29:
        for closing in (END, 0x22, 0x5D, 0x7D):
            if closing in allowed:
                return closing
    token = next_token(tokens, seed, choice, position)
    return token if token in allowed else sorted(allowed)[x % len(allowed)]


def reply(
    prompt: Sequence[int],
    seed: int,
    max_tokens: int,
    *,
    choice: int = 0,
    min_tokens: int = 0,
    ignore_eos: bool = False,
) -> tuple[tuple[int, ...], str]:
    """Return the reply's tokens, without the end of text, and why it ends."""
    tokens = list(prompt)
    for position in range(max_tokens):
        may_end = position >= min_tokens and not ignore_eos
        token = next_token(tokens, seed, choice, position, may_end=may_end)
        if token == END:
            return tuple(tokens[len(prompt) :]), "stop"
        tokens.append(token)
    return tuple(tokens[len(prompt) :]), "length"


def mixed_crc(tokens: Sequence[int]) -> int:
    x = zlib.crc32(packed(tokens))
    x = ((x ^ (x >> 16)) * 0x45D9F3B) % 2**32
    return x ^ (x >> 16)


def likeliest(tokens: Sequence[int], count: int) -> tuple[tuple[int, float], ...]:
    """Return the likeliest tokens after `tokens`, and their made-up log-probabilities."""
    first = mixed_crc(tokens)
    return tuple(
        ((first + rank) % 3857, -math.log((rank + 1) * (rank + 2))) for rank in range(count)
    )


def logprob(tokens: Sequence[int], token: int) -> float:
    """Return the log-probability of `token` after `tokens`."""
    return dict(likeliest(tokens, 3857))[token]


def prompt_logprobs(prompt: Sequence[int]) -> tuple[float, ...]:
    """Return the log-probability of each token of a prompt except the first."""
    return tuple(logprob(prompt[:at], prompt[at]) for at in range(1, len(prompt)))


def vector(tokens: Sequence[int], pooling: str) -> list[float]:
    """Return the prompt's vector in fp32."""
    first = len(tokens) if pooling == "last" else 1
    states = [_state(tokens[:end]) for end in range(first, len(tokens) + 1)]
    means = [math.fsum(column) / len(states) / 32768 for column in zip(*states, strict=True)]
    return array.array("f", means).tolist()


def _state(tokens: Sequence[int]) -> list[int]:
    crc = zlib.crc32(packed(tokens)).to_bytes(4, "little")
    digest = hashlib.shake_128(crc).digest(128)
    return [int.from_bytes(digest[at : at + 2], "little", signed=True) for at in range(0, 128, 2)]


def fp32(number: float) -> float:
    """Round to the nearest number of 32 bits."""
    return array.array("f", [number])[0]
