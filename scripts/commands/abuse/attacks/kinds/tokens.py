"""Token ids and texts: thousands of prompts, long texts, /tokenize, /detokenize, counting."""

from __future__ import annotations

from commands.abuse.attacks.draw import LARGEST_BODY, Draw
from commands.abuse.attacks.kind import Kind, Shots, with_needs
from commands.abuse.attacks.shot import Shot


def _detokenize(draw: Draw) -> Shots:
    return Shot.of({"tokens": [0] * draw.about(30_000)}, "/detokenize")


def _detokenize_any(draw: Draw) -> Shots:
    count = draw.about(30_000)
    few = [draw.token() for _ in range(draw.dice.choice((1, 2, 3, 300)))]
    return Shot.of({"tokens": [draw.dice.choice(few) for _ in range(count)]}, "/detokenize")


def _echo(draw: Draw) -> Shots:
    prompt = [0] * min(draw.about(6_000), draw.room)
    return draw.completion_shot(prompt=prompt, echo=True, max_tokens=1)


def _echo_many(draw: Draw) -> Shots:
    """Echo several prompts, with as many tokens as one prompt of a larger model."""
    return draw.completion_shot(prompt=[[0] * draw.room] * draw.about(6), echo=True, max_tokens=1)


def _digits(draw: Draw) -> Shots:
    return draw.completion_shot(prompt=_runs(draw))


def _six_digits(draw: Draw) -> Shots:
    return draw.completion_shot(prompt=_runs(draw), copies=6)


def _runs(draw: Draw) -> str:
    """Return a large body of digit runs that are just short of a match."""
    run = "7" * int(str(draw.one_of(1000, 999, 100, 5000))) + " "
    return run * (min(LARGEST_BODY, draw.about(LARGEST_BODY)) // len(run))


def _prompts_short(draw: Draw) -> Shots:
    return draw.completion_shot(prompt=["a"] * draw.about(100_000), max_tokens=1)


def _prompts_long(draw: Draw) -> Shots:
    return draw.completion_shot(prompt=["a " * 995] * draw.about(2_000), max_tokens=1)


def _texts(draw: Draw) -> Shots:
    text = "once upon a time, " * (draw.about(1_000_000) // 18)
    return draw.completion_shot(prompt=text, copies=12)


def _awkward(draw: Draw) -> Shots:
    text = draw.text(min(draw.about(500_000), LARGEST_BODY // 4))
    return draw.completion_shot(prompt=text, copies=draw.about(4))


def _fitting(draw: Draw) -> Shots:
    """Send awkward texts that fit, so that they are computed, echoed and scored."""
    text = draw.text(draw.about(600))
    return draw.completion_shot(prompt=[text] * 16, echo=True, logprobs=5, max_tokens=8)


def _tokenize(draw: Draw) -> Shots:
    size = min(draw.about(500_000), LARGEST_BODY // 4)
    text = "a " * (LARGEST_BODY // 2 - 100) if draw.exact else draw.text(size)
    body = {"prompt": text, "return_token_strs": draw.one_of(False, True)}
    return Shot.of(body, "/tokenize", copies=1 if draw.exact else draw.about(4))


def _tokenize_small(draw: Draw) -> Shots:
    body = {"prompt": draw.text(draw.about(2_000)), "return_token_strs": True}
    return Shot.of(body, "/v1/tokenize", copies=draw.about(400), width=64)


def _count(draw: Draw) -> Shots:
    text = draw.text(min(draw.about(500_000), LARGEST_BODY // 4))
    body = {"model": draw.facts.model, "conversation": text}
    return Shot.of(body, "/v1/count_tokens", copies=draw.about(4))


def _native(draw: Draw) -> Shots:
    body = {"text": draw.text(draw.about(100_000)), "max_tokens": 4, "return_prompt": True}
    path = f"/{draw.dice.choice(('inference', 'chat', 'predictions'))}/{draw.facts.model}"
    return Shot.of(body, path, copies=draw.about(8))


def _ids(draw: Draw) -> Shots:
    """Send prompts of token ids, far too many or far too long."""
    count = draw.about(500_000)
    prompt = draw.one_of([[1]] * (count // 4), [1] * count, [[1] * 100] * (count // 150))
    return draw.completion_shot(prompt=prompt, max_tokens=1)


KINDS = (
    Kind("c2-detokenize", "token ids without text", _detokenize),
    Kind("c2-echo", "a prompt without text, repeated", _echo),
    Kind("c2-echo-many", "several of them", _echo_many),
    Kind("h1-digits", "runs of 1,000 digits, 4 MB", _digits),
    Kind("h1-six-digits", "six of them at once", _six_digits),
    Kind("h2-prompts-short", "100,000 prompts of a character", _prompts_short),
    Kind("h2-prompts-long", "2,000 prompts of 1,990 characters", _prompts_long),
    with_needs(Kind("m3-texts", "12 texts of 1 MB that cannot fit", _texts), characters=2400),
    Kind("detokenize-any", "token ids drawn from a few", _detokenize_any),
    Kind("awkward-prompt", "awkward texts as prompts", _awkward),
    Kind("awkward-fitting", "awkward texts that fit, echoed and scored", _fitting),
    Kind("tokenize", "awkward texts at /tokenize, with their strings", _tokenize),
    Kind("tokenize-small", "hundreds of small ones", _tokenize_small),
    Kind("count-tokens", "awkward texts at /v1/count_tokens", _count),
    Kind("native", "awkward texts in the native dialect", _native),
    Kind("prompt-ids", "prompts of token ids, far too many", _ids),
)
