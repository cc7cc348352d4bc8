"""Decoding without any server: prompts to tokens to text, one backend stepped manually.

Runs under pytest and as a program: `python tests/test_decoding.py`.
"""

import sys
from collections import defaultdict
from collections.abc import Sequence

import pytest

if __name__ == "__main__":
    sys.exit(pytest.main([__file__, "-p", "no:cacheprovider"]))

from rowcast.backend.decode_backend import DecodeBackend
from rowcast.engine.scripted_engine import ScriptedEngine
from rowcast.sampling_params import SamplingParams
from rowcast.text.stop import StopFilter
from rowcast.text.tokens.tokenizer import ScriptedTokenizer
from rowcast.transport.memory import MemoryTransport
from rowcast.wire import Accepted, Event, Finished, Seated, Submit, Tokens

PROMPTS = [
    "What is your favorite condiment?",
    "Where is Paris?",
    "A",
    "\N{GRINNING FACE}",
    "x" * 700,
]


def prompt(text: str, session: str = "one", seed: int = 1, max_tokens: int = 40) -> Submit:
    tokens = ScriptedTokenizer().encode(text)
    return Submit(session, 0, tokens, SamplingParams(max_tokens=max_tokens), seed)


def decode(
    prompts: Sequence[Submit], *, rows: int = 32, width: int = 256
) -> dict[str, list[Event]]:
    """Step a backend until each of these prompts has ended; return its events by session."""
    transport = MemoryTransport(seconds=0)
    backend = DecodeBackend(transport.backend_port, lambda: ScriptedEngine(rows=rows, width=width))
    frontend = transport.connect()
    frontend.send(prompts)
    events: dict[str, list[Event]] = defaultdict(list)
    for _ in range(10_000):
        backend.step()
        while batch := frontend.receive():
            for event in batch:
                events[getattr(event, "session", "status")].append(event)
        if backend.idle:
            return events
    raise AssertionError("the replies did not end")


def tokens_of(events: Sequence[Event]) -> list[int]:
    """Return a reply's tokens; check that their indexes have no gap."""
    tokens: list[int] = []
    for event in events:
        if isinstance(event, Tokens):
            assert event.index == len(tokens)
            tokens += event.tokens
    return tokens


def reply(text: str, seed: int = 1, max_tokens: int = 40) -> list[int]:
    return tokens_of(decode([prompt(text, seed=seed, max_tokens=max_tokens)])["one"])


def text_of(tokens: Sequence[int]) -> str:
    decoder = ScriptedTokenizer().decoder()
    return decoder.feed(tokens) + decoder.finish()


def test_a_reply_is_accepted_told_and_ended_once() -> None:
    first, second, *middle, last = decode([prompt("Hello")])["one"]
    assert isinstance(first, Accepted)
    assert isinstance(second, Seated)
    assert all(isinstance(event, Tokens) for event in middle)
    assert isinstance(last, Finished)
    assert last.length == len(tokens_of(middle))


@pytest.mark.parametrize("limit", [1, 2, 17, 40])
def test_max_tokens_ends_a_reply(limit: int) -> None:
    events = decode([prompt("Hello", max_tokens=limit)])["one"]
    assert len(tokens_of(events)) == limit
    assert events[-1] == Finished("one", 0, limit, "length")


@pytest.mark.slow
def test_the_end_of_text_ends_a_reply_and_is_not_told() -> None:
    ends = (decode([prompt("Hello", seed=seed, max_tokens=2048)])["one"] for seed in range(50))
    events = next(each for each in ends if each[-1].reason == "stop")  # type: ignore[union-attr]
    assert ScriptedEngine().end_tokens.isdisjoint(tokens_of(events))


def test_seed_and_prompt_decide_the_reply() -> None:
    assert reply("Hello", seed=1) == reply("Hello", seed=1)
    assert reply("Hello", seed=1) != reply("Hello", seed=2)
    assert reply("Hello", seed=1) != reply("Hello!", seed=1)


@pytest.mark.parametrize("width", [1, 7, 64, 1024])
@pytest.mark.parametrize("rows", [1, 2, 32])
def test_company_rows_and_width_do_not_change_a_reply(rows: int, width: int) -> None:
    alone = {text: reply(text) for text in PROMPTS}
    together = decode([prompt(text, session=text) for text in PROMPTS], rows=rows, width=width)
    assert {text: tokens_of(together[text]) for text in PROMPTS} == alone


def test_a_reply_goes_on_from_the_tokens_already_delivered() -> None:
    whole = reply("Hello")
    for known in (0, 1, 20, 39):
        again = prompt("Hello")
        resumed = Submit(
            "one", 0, again.prompt, again.params, again.seed, delivered=tuple(whole[:known])
        )
        events = decode([resumed])["one"]
        fresh = [token for each in events if isinstance(each, Tokens) for token in each.tokens]
        assert whole[:known] + fresh == whole


def test_text_comes_out_the_same_however_the_tokens_are_cut() -> None:
    tokens = reply("Some text", max_tokens=300)
    for size in (1, 2, 3, 50):
        decoder = ScriptedTokenizer().decoder()
        pieces = [decoder.feed(tokens[at : at + size]) for at in range(0, len(tokens), size)]
        assert "".join(pieces) + decoder.finish() == text_of(tokens)


def test_a_stop_sequence_is_found_across_tokens() -> None:
    tokens = reply("Some text", max_tokens=100)
    sequence = text_of(tokens)[33:44]
    stop, decoder = StopFilter([sequence]), ScriptedTokenizer().decoder()
    released = "".join(stop.feed(decoder.feed([token])) for token in tokens)
    assert stop.stopped
    assert released == text_of(tokens).partition(sequence)[0]
