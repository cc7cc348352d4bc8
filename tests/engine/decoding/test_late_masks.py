"""Rows with late masks are deferred: they draw later, and draw the same tokens."""

import json
import time
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest
import torch
from llguidance import LLMatcher

from backend.driven import Driven, RecordedEngine, choices, named, submit
from engine.speaking import save_speaking
from rowcast.backend.decode_backend import DecodeBackend
from rowcast.engine.engine import Drawn, Feed
from rowcast.engine.loading.loaded_engine import engine_over
from rowcast.engine.loading.loader import load
from rowcast.engine.loading.source import ModelSource
from rowcast.engine.torch_engine import TorchEngine
from rowcast.transport.memory import MemoryTransport
from rowcast.wire import Finished, Scored, Submit, Tokens
from sampling.grammars.slow_lane import slowed

pytestmark = pytest.mark.slow

PROMPT = b"Say something of this form, and say it well: "
ROWS = 8
PERSON = LLMatcher.grammar_from_json_schema(
    json.dumps(
        {
            "type": "object",
            "properties": {"name": {"type": "string", "maxLength": 12}, "age": {"type": "integer"}},
            "required": ["name", "age"],
            "additionalProperties": False,
        }
    )
)
WORDS = LLMatcher.grammar_from_regex("([a-z]{2,5} ){3,9}[.]")
LONG = LLMatcher.grammar_from_regex(".{300}")
Found = dict[str, tuple[list[int], list[float], Finished]]


class WatchedEngine(RecordedEngine):
    """Counts the deferred rows."""

    late = 0

    def step(self, feeds: Sequence[Feed]) -> list[Drawn]:
        drawn = super().step(feeds)
        self.late += sum(each.late for each in drawn)
        return drawn


def asks() -> list[Submit]:
    """Return replies of every kind that a mask, a fork, a score or a count could affect."""

    def ask(name: str, **params: object) -> Submit:
        asked = {"max_tokens": 60, "ignore_eos": False, **params}
        return submit(name, PROMPT, **asked)  # type: ignore[arg-type]

    return [
        ask("person", grammar=PERSON, seed=3),
        ask("words", grammar=WORDS, seed=4, logprobs=True, top_logprobs=2),
        ask("stops", grammar=WORDS, seed=5, stop_token_ids=(ord("e"), ord("a"), ord("."))),
        ask("scored", grammar=PERSON, seed=6, prompt_logprobs=True),
        ask("counted", grammar=WORDS, seed=7, repetition_penalty=1.3, frequency_penalty=0.4),
        ask("short", grammar=LONG, seed=8, max_tokens=9),
        ask("free", seed=9),
        *choices("group", 5, PROMPT, grammar=PERSON, max_tokens=60, ignore_eos=False),
    ]


def replies(backend: DecodeBackend, transport: MemoryTransport, submits: list[Submit]) -> Found:
    """Submit all of them at once; return everything that the backend sends."""
    port = transport.connect()
    port.send(submits)
    said: dict[str, list[int]] = {}
    scores: dict[str, list[float]] = {}
    ends: dict[str, Finished] = {}
    limit = time.monotonic() + 120
    while len(ends) < len(submits):
        assert time.monotonic() < limit, "a reply never ends"
        backend.step()
        for event in port.receive():
            match event:
                case Tokens():
                    said.setdefault(named(event.session, event.choice), []).extend(event.tokens)
                    if event.logprobs:
                        name = named(event.session, event.choice)
                        scores.setdefault(name, []).extend(event.logprobs)
                case Scored():
                    name = named(event.session, event.choice)
                    scores.setdefault(name, []).extend(event.logprobs)
                case Finished():
                    ends[named(event.session, event.choice)] = event
    return {name: (said.get(name, []), scores.get(name, []), end) for name, end in ends.items()}


def scripted(seed: int | None, submits: list[Submit]) -> tuple[Found, int]:
    """Run the scripted engine, with slow lanes if there is a seed; also count deferred rows."""
    engine = WatchedEngine(rows=ROWS)
    if seed is not None:
        slowed(engine._grammars, seed)
    transport = MemoryTransport(seconds=0)
    backend = DecodeBackend(transport.backend_port, lambda: engine)
    return replies(backend, transport, submits), engine.late


@pytest.mark.parametrize("seed", range(3))
def test_a_late_mask_changes_nothing_that_is_said(seed: int) -> None:
    plain, _ = scripted(None, asks())
    found, late = scripted(seed, asks())
    assert late > 50
    assert found == plain
    assert {"stop", "length"} <= {end.reason for _, _, end in plain.values()}


def test_a_reply_that_was_delivered_in_part_goes_on_when_its_mask_is_late() -> None:
    plain, _ = scripted(None, asks())
    again = []
    for each in asks():
        tokens = plain[named(each.session, each.choice)][0]
        again.append(msgspec.structs.replace(each, delivered=tuple(tokens[: len(tokens) // 2])))
    found, late = scripted(11, again)
    assert late > 20
    for each in again:
        name = named(each.session, each.choice)
        assert [*(each.delivered or ()), *found[name][0]] == plain[name][0]
        assert found[name][2] == plain[name][2]


def test_nobody_waits_for_a_row_that_is_set_aside() -> None:
    driven = Driven(engine=WatchedEngine(rows=ROWS))
    lane = slowed(driven.engine._grammars, 1)
    lane._seconds = 100.0  # effectively never
    reader = driven.reader()
    reader.send(submit("late", grammar=PERSON), submit("free", max_tokens=40))
    limit = time.monotonic() + 60
    while reader.reason("free") is None:
        assert time.monotonic() < limit
        driven.step()
    assert reader.reason("free") == "length"
    assert reader.reason("late") is None
    reader.cancel("late")
    driven.finish()
    assert reader.reason("late") == "cancelled"


def test_a_row_is_free_for_another_while_a_mask_is_computed_for_its_last_reply() -> None:
    plain, _ = scripted(None, asks())
    engine = WatchedEngine(rows=1)
    slowed(engine._grammars, 5)
    driven = Driven(engine=engine)
    reader = driven.reader()
    reader.send(submit("first", PROMPT, max_tokens=60, grammar=WORDS))
    while not engine.late:
        driven.step()
    reader.cancel("first")
    reader.send(asks()[0])
    limit = time.monotonic() + 60
    while reader.reason("person") is None:
        assert time.monotonic() < limit
        driven.step()
    assert (reader.tokens["person"], reader.ends["person"]) == (
        plain["person"][0],
        plain["person"][2],
    )


@pytest.fixture(scope="module", params=[True, False], ids=["llama", "modules"])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TorchEngine:
    path: Path = save_speaking(tmp_path_factory.mktemp("speaking"))
    cpu = torch.device("cpu")
    source = ModelSource(model=str(path), dtype=torch.float32, device=cpu, context=256, rows=ROWS)
    engine = engine_over("tiny", load(source), rows=ROWS, widest=64, llama=request.param)
    engine.compile()
    return engine


def test_late_masks_change_no_bit_of_a_real_model(engine: TorchEngine) -> None:
    def said() -> Found:
        transport = MemoryTransport(seconds=0)
        return replies(
            DecodeBackend(transport.backend_port, lambda: engine), transport, asks_of_model()
        )

    grammars = engine._grammars
    quick, slow = grammars._quick, grammars._slow
    plain = said()
    lane = slowed(grammars, 2)
    found = said()
    grammars._quick, grammars._slow = quick, slow
    assert lane.marked > 20
    assert found == plain


def asks_of_model() -> list[Submit]:
    """Return the same, with tokens that the tiny model has."""
    return [
        msgspec.structs.replace(each, prompt=tuple(65 + at % 20 for at in range(30)))
        for each in asks()
    ]
