"""Judges the bytes of outcomes, by the scripted rule or by the prompt that they repeat.

In: requests and outcomes. Out: one sentence for each stream that differs, with the first offset,
and the other stream whose bytes they are, if there is one. A cut stream is judged up to its cut. If
the rule is known, it also gives the true number of tokens, which raw text does not carry.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from commands.bench.load.outcome import Outcome
from commands.bench.load.requests import Request, stream_name
from commands.bench.verification.scripted_rule import Reply, reply_to

EXCERPT = 24
TRACE = 12  # bytes that suffice to recognise another stream


def verify(requests: Sequence[Request], outcomes: Sequence[Outcome]) -> list[str]:
    """Check every byte against the scripted engine's rule; differences fail their outcome."""
    replies: dict[int, Reply] = {request.index: _expected(request) for request in requests}

    def owner_of(trace: bytes, but: int) -> int | None:
        return next((i for i, r in replies.items() if i != but and trace in r.text), None)

    return _collect(outcomes, lambda seen: _against_rule(seen, replies[seen.index], owner_of))


def verify_echo(requests: Sequence[Request], outcomes: Sequence[Outcome]) -> list[str]:
    """Check that every text contains its own named prompt, and no other."""
    prompts = {request.index: request.prompt.encode() for request in requests}
    return _collect(outcomes, lambda seen: _against_prompt(seen, prompts))


def _collect(outcomes: Sequence[Outcome], judge: Callable[[Outcome], str | None]) -> list[str]:
    differences = []
    for seen in sorted(outcomes, key=lambda outcome: outcome.index):
        difference = judge(seen) if seen.status == 200 else None
        if difference:
            differences.append(f"stream {seen.index}: {difference}")
            seen.failure = seen.failure or "wrong bytes"
    return differences


def _expected(request: Request) -> Reply:
    if request.seed is None:
        raise ValueError("only a request with a seed can be verified")
    return reply_to(request.prompt.encode(), request.seed, request.max_tokens)


def _against_rule(
    seen: Outcome, reply: Reply, owner_of: Callable[[bytes, int], int | None]
) -> str | None:
    wanted = reply.text if seen.ok else reply.text[: len(seen.text)]
    if seen.text != wanted:
        offset = first_difference(seen.text, wanted)
        trace = seen.text[offset : offset + TRACE]
        owner = owner_of(trace, seen.index) if len(trace) == TRACE else None
        return _difference(offset, seen.text, wanted, owner)
    if not seen.ok:
        return None
    seen.verified_tokens = reply.tokens
    if seen.finish_reason not in {None, reply.finish_reason}:
        return f"ended as {seen.finish_reason!r}, but the rule says {reply.finish_reason!r}"
    # The end-of-text token is drawn but not shown: servers may count it or not.
    counts = {None, reply.tokens, reply.tokens - (reply.finish_reason == "stop")}
    if seen.usage_tokens not in counts:
        return f"counted {seen.usage_tokens} tokens, but the rule makes {reply.tokens}"
    return None


def _against_prompt(seen: Outcome, prompts: dict[int, bytes]) -> str | None:
    prompt = prompts[seen.index]
    start = seen.text[: len(prompt)]
    wanted = prompt if seen.ok else prompt[: len(start)]
    strays = (i for i in prompts if i != seen.index and stream_name(i).encode() in seen.text)
    stray = next(strays, None)
    if start != wanted:
        return _difference(first_difference(start, wanted), seen.text, wanted, stray)
    if stray is not None:
        offset = seen.text.index(stream_name(stray).encode())
        return f"from byte {offset} on it contains stream {stray}"
    return None


def first_difference(left: bytes, right: bytes) -> int:
    """Return the first offset at which two texts differ, or the end of the shorter one."""
    pairs = zip(left, right, strict=False)
    return next((i for i, (a, b) in enumerate(pairs) if a != b), min(len(left), len(right)))


def _difference(offset: int, got: bytes, wanted: bytes, owner: int | None) -> str:
    note = "" if owner is None else f" (these are bytes of stream {owner})"
    return (
        f"byte {offset} differs: got {_excerpt(got, offset)}, want {_excerpt(wanted, offset)}{note}"
    )


def _excerpt(text: bytes, offset: int) -> str:
    part = text[offset : offset + EXCERPT]
    return repr(part) if part else "the end"
