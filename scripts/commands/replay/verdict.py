"""Compares the record of a reply with its recomputation.

A trail has one byte per token, which depends on all earlier tokens too: the first byte that differs
is at the first token that does. One time in 256 it is equal there by chance, and the next byte
differs; the digest is reliable.
"""

from __future__ import annotations

from commands.replay.receipt import Reply


def verdict(then: Reply, now: Reply) -> str:
    """Return where they differ; "" if they are equal."""
    same = _alike(then.trail, now.trail)
    if same < min(then.tokens, now.tokens):
        return f"from token {same + 1} on ({then.tokens} tokens then, {now.tokens} now)"
    if (then.tokens, then.finish_reason) != (now.tokens, now.finish_reason):
        return f"in its end: {_end(then)} then, {_end(now)} now; equal up to there"
    return "" if then.digest == now.digest else f"in the last of its {then.tokens} tokens"


def _alike(one: bytes, other: bytes) -> int:
    """Return the length of the common beginning of two trails."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def _end(reply: Reply) -> str:
    return f"{reply.finish_reason} after {reply.tokens} tokens"
