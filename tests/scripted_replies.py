"""The replies of the scripted model: the engine itself, stepped in this process.

`scripted_reply()` returns text, tokens and finish reason of one reply, without any server, so that
every byte that a server sends can be compared.
"""

from dataclasses import dataclass

from rowcast.engine.engine import Feed, Seating
from rowcast.engine.scripted_engine import ScriptedEngine
from rowcast.sampling_params import SamplingParams
from rowcast.text.tokens.tokenizer import ScriptedTokenizer


@dataclass(frozen=True, slots=True)
class ScriptedReply:
    """One complete reply."""

    text: str
    tokens: tuple[int, ...]
    reason: str


def scripted_reply(prompt: str, seed: int, max_tokens: int = 128) -> ScriptedReply:
    """Return the reply to `prompt`, as any server must give it."""
    tokens, reason = _tokens(prompt, seed, max_tokens)
    decoder = ScriptedTokenizer().decoder()
    return ScriptedReply(decoder.feed(tokens) + decoder.finish(), tuple(tokens), reason)


def _tokens(prompt: str, seed: int, max_tokens: int) -> tuple[list[int], str]:
    engine = ScriptedEngine(rows=1)
    fresh: tuple[int, ...] = ScriptedTokenizer().encode(prompt)
    engine.seat(0, Seating(SamplingParams(max_tokens=max_tokens), seed, 0, len(fresh)))
    position, reply = 0, list[int]()
    while len(reply) < max_tokens:
        (drawn,) = engine.step([Feed(0, position, fresh, draws=True)])
        if drawn.tokens[0] in engine.end_tokens:
            return reply, "stop"
        position += len(fresh)
        fresh = drawn.tokens
        reply.extend(fresh)
    return reply, "length"


def long_reply(prompt: str, max_tokens: int = 2048, *, at_least: int = 1500) -> int:
    """Return a seed with which the reply to `prompt` has at least `at_least` tokens."""
    return next(
        seed
        for seed in range(1, 100_000)
        if len(scripted_reply(prompt, seed, max_tokens).tokens) >= at_least
    )
