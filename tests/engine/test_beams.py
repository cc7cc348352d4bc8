"""Beam search equals transformers' `generate(num_beams=…)` in fp32, alone and in company."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import msgspec
import pytest
import torch
from transformers import AutoModelForCausalLM

from backend.driven import Reader, named, submit
from engine.tiny_models import END, SHAPES, VOCABULARY, save
from rowcast.backend.decode_backend import DecodeBackend
from rowcast.engine.loading.loaded_engine import engine_over
from rowcast.engine.loading.loader import load
from rowcast.engine.loading.source import ModelSource
from rowcast.engine.torch_engine import TorchEngine
from rowcast.transport.memory import MemoryTransport
from rowcast.wire import Submit, Tokens

pytestmark = pytest.mark.slow

BEAMS, REPLY, OTHERS = 4, 18, 28
STOPS = tuple(range(20, 30))  # so that some hypotheses end early
PROMPTS = (23, 1, 9)
OPTIONS: tuple[dict[str, Any], ...] = (
    {"length_penalty": 1.0, "early_stopping": False},
    {"length_penalty": 0.0, "early_stopping": "never"},
    {"length_penalty": 2.0, "early_stopping": True},
    {"length_penalty": -1.0, "early_stopping": "never"},
    {"length_penalty": 1.5, "early_stopping": "never"},
)


def prompt_of(length: int, seed: int) -> list[int]:
    chance = torch.Generator().manual_seed(seed)
    drawn: list[int] = torch.randint(3, VOCABULARY, (length,), generator=chance).tolist()
    return drawn


def engine_of(path: Path) -> TorchEngine:
    """Return an engine with all 32 rows, probed."""
    cpu = torch.device("cpu")
    source = ModelSource(model=str(path), dtype=torch.float32, device=cpu, context=64, rows=32)
    engine = engine_over("tiny", load(source), rows=32, widest=64)
    engine.compile()
    return engine


def searches(session: str, prompt: Sequence[int], **params: Any) -> list[Submit]:
    """Return the choices of a search."""
    fixed = {"max_tokens": REPLY, "ignore_eos": False, "temperature": 0.0, "beams": BEAMS}
    each = submit(session, prompt, **fixed | params)
    return [msgspec.structs.replace(each, choice=at, choices=BEAMS) for at in range(BEAMS)]


def company(seed: int) -> list[Submit]:
    """Return the prompts of others, long and short, greedy and sampled."""
    return [
        submit(
            f"other{at}",
            prompt_of(1 + 5 * at % 40, seed + at),
            max_tokens=4 + at % 20,
            temperature=0.8 * (at % 2),
            repetition_penalty=1.0 + 0.2 * (at % 3),
        )
        for at in range(OTHERS)
    ]


def computed(engine: TorchEngine, submits: Sequence[Submit]) -> Reader:
    """Compute replies to the end."""
    transport = MemoryTransport(seconds=0)
    backend = DecodeBackend(transport.backend_port, lambda: engine)
    reader = Reader(transport.connect())
    reader.send(*submits)
    for _ in range(500):
        backend.step()
        reader.read()
        if reader.accepted and backend.idle:
            return reader
    raise AssertionError("still busy")


def found(reader: Reader, session: str = "s") -> list[list[int]]:
    return [reader.tokens[named(session, at)] for at in range(BEAMS)]


def wanted(reference: Any, prompt: list[int], **options: Any) -> list[list[int]]:
    """Return the hypotheses of transformers, without what ended them."""
    ends = [END, *STOPS]
    rows = reference.generate(
        torch.tensor([prompt]),
        num_beams=BEAMS,
        num_return_sequences=BEAMS,
        do_sample=False,
        max_new_tokens=REPLY,
        eos_token_id=ends,
        pad_token_id=END,
        **options,
    )[:, len(prompt) :].tolist()
    return [row[: next((at for at, each in enumerate(row) if each in ends), None)] for row in rows]


def reference_of(path: Path) -> Any:
    return AutoModelForCausalLM.from_pretrained(path, dtype=torch.float32)


@pytest.mark.parametrize("name", SHAPES)
def test_beams_equal_generate_alone_and_in_company(name: str, tmp_path: Path) -> None:
    path = save(name, tmp_path)
    at = list(SHAPES).index(name)
    prompt, options = prompt_of(PROMPTS[at % len(PROMPTS)], at), OPTIONS[at % len(OPTIONS)]
    expected = wanted(reference_of(path), prompt, **options)
    engine = engine_of(path)
    submits = searches("s", prompt, stop_token_ids=STOPS, **options)
    assert found(computed(engine, submits)) == expected
    others = company(at)
    alone = computed(engine, others)
    together = computed(engine, [*others, *submits])
    assert found(together) == expected
    assert [together.tokens[each.session] for each in others] == [
        alone.tokens[each.session] for each in others
    ]


@pytest.fixture(scope="module")
def llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save("llama", tmp_path_factory.mktemp("models"))


@pytest.mark.parametrize(
    ("ours", "theirs"),
    [
        ({"repetition_penalty": 1.4}, {"repetition_penalty": 1.4}),
        ({"min_tokens": 7}, {"min_new_tokens": 7}),
        ({"banned_tokens": (5, 9, 60)}, {"suppress_tokens": [5, 9, 60]}),
        ({"logit_bias": ((7, 3.5),)}, {"sequence_bias": {(7,): 3.5}}),
    ],
)
def test_edits_are_those_of_transformers_processors(
    llama: Path, ours: dict[str, Any], theirs: dict[str, Any]
) -> None:
    reference, engine = reference_of(llama), engine_of(llama)
    for length in PROMPTS:
        prompt = prompt_of(length, length)
        submits = searches("s", prompt, stop_token_ids=STOPS, **ours)
        assert found(computed(engine, submits)) == wanted(reference, prompt, **theirs)


def test_log_probabilities_are_the_models_own_and_pure(llama: Path) -> None:
    engine, prompt = engine_of(llama), prompt_of(9, 1)
    submits = searches("s", prompt, logprobs=True, top_logprobs=2, repetition_penalty=1.2)

    def events_of(reader: Reader) -> list[Tokens]:
        events = [each for batch in reader.batches for each in batch]
        return [each for each in events if isinstance(each, Tokens) and each.session == "s"]

    alone = events_of(computed(engine, submits))
    assert alone == events_of(computed(engine, [*company(3), *submits]))
    network = reference_of(llama)
    for at, tokens in enumerate(found(computed(engine, submits))):
        with torch.no_grad():
            logits = network(torch.tensor([[*prompt, *tokens]])).logits[0, len(prompt) - 1 : -1]
        own = logits.log_softmax(-1).gather(1, torch.tensor(tokens).unsqueeze(1)).squeeze(1)
        reported = [value for each in alone if each.choice == at for value in each.logprobs or ()]
        assert reported == pytest.approx(own.tolist(), abs=1e-4)


def test_fewer_tokens_than_beams_still_give_each_choice_a_hypothesis(llama: Path) -> None:
    engine = engine_of(llama)
    only = searches("s", [5, 6, 7], allowed_tokens=(9,))
    assert found(computed(engine, only)) == [[9] * REPLY] * BEAMS
    two = searches("s", [5, 6, 7], allowed_tokens=(9, 11), ignore_eos=True)
    assert len({tuple(each) for each in found(computed(engine, two))}) == BEAMS
    ends = computed(engine, searches("s", [5, 6, 7], allowed_tokens=(END,)))
    assert found(ends) == [[]] * BEAMS
    assert {end.reason for end in ends.ends.values()} == {"stop"}


def test_a_search_that_has_no_token_left_fails(llama: Path) -> None:
    submits = searches("s", [5, 6, 7], allowed_tokens=(END,), min_tokens=3)
    assert {end.reason for end in computed(engine_of(llama), submits).ends.values()} == {"error"}
