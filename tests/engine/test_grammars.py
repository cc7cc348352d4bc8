"""Grammars on a real engine: replies follow them, and are as pure as all replies.

Covers `loading/vocabulary`, `sampling/masks`, `grammar_check`.
"""

import json
import random
from pathlib import Path

import msgspec
import pytest
import torch
from llguidance import LLMatcher
from tokenizers import Tokenizer

from backend.driven import submit
from engine.schemas import follows, random_schema
from engine.speaking import save_speaking
from engine.tiny_models import save
from rowcast.backend.decode_backend import DecodeBackend
from rowcast.engine.engine import Feed, Seating
from rowcast.engine.loading.loaded_engine import engine_over
from rowcast.engine.loading.loader import load
from rowcast.engine.loading.source import ModelSource
from rowcast.engine.torch_engine import TorchEngine
from rowcast.sampling_params import SamplingParams
from rowcast.text.rules.grammar import of_json_schema
from rowcast.transport.memory import MemoryTransport
from rowcast.wire import Finished, Submit, Tokens

pytestmark = pytest.mark.slow

PROMPT = (65, 66, 67, 80, 75)
ROWS = 8
LIST = LLMatcher.grammar_from_json_schema(
    {"type": "array", "items": {"type": "string", "maxLength": 9}, "maxItems": 6}
)


def engine_of(path: Path, *, llama: bool = True) -> TorchEngine:
    cpu = torch.device("cpu")
    source = ModelSource(model=str(path), dtype=torch.bfloat16, device=cpu, context=256, rows=ROWS)
    engine = engine_over("tiny", load(source), rows=ROWS, widest=64, llama=llama)
    engine.compile()
    return engine


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return save_speaking(tmp_path_factory.mktemp("speaking"))


@pytest.fixture(scope="module", params=[True, False], ids=["llama", "modules"])
def engine(request: pytest.FixtureRequest, path: Path) -> TorchEngine:
    return engine_of(path, llama=request.param)


def replies(engine: TorchEngine, *submits: Submit) -> dict[str, tuple[list[int], Finished]]:
    """Submit all of them at once; return their replies, delivered tokens included."""
    transport = MemoryTransport(seconds=0)
    backend = DecodeBackend(transport.backend_port, lambda: engine)
    port = transport.connect()
    port.send(submits)
    said = {each.session: list(each.delivered or ()) for each in submits}
    ends: dict[str, Finished] = {}
    while len(ends) < len(submits):
        backend.step()
        for event in port.receive():
            if isinstance(event, Tokens):
                said[event.session] += event.tokens
            elif isinstance(event, Finished):
                ends[event.session] = event
    return {name: (tokens, ends[name]) for name, tokens in said.items()}


def asked(name: str, grammar: str, seed: int) -> Submit:
    return submit(
        name, PROMPT, seed=seed, max_tokens=200, ignore_eos=False, grammar=grammar, top_p=0.95
    )


def test_every_whole_reply_follows_its_schema(engine: TorchEngine, path: Path) -> None:
    schemas = {f"{number}": random_schema(random.Random(number), 2) for number in range(24)}
    asks = [asked(name, of_json_schema(schema), int(name)) for name, schema in schemas.items()]
    found = replies(engine, *asks, submit("free", PROMPT, max_tokens=30))
    tokenizer = Tokenizer.from_file(str(path / "tokenizer.json"))
    stopped = [name for name in schemas if found[name][1].reason == "stop"]
    assert len(stopped) > 18
    for name in stopped:
        assert follows(json.loads(tokenizer.decode(found[name][0])), schemas[name])
    assert found["free"] == replies(engine, submit("free", PROMPT, max_tokens=30))["free"]


def test_company_and_backends_that_ended_change_nothing(engine: TorchEngine) -> None:
    ask = asked("mine", LIST, 5)
    alone = replies(engine, ask)["mine"]
    others = [asked(f"{seed}", LIST, seed) for seed in range(7)]
    assert replies(engine, *others, ask, submit("free", PROMPT, max_tokens=30))["mine"] == alone
    for count in (0, 1, len(alone[0]) // 2, len(alone[0])):
        again = msgspec.structs.replace(ask, delivered=tuple(alone[0][:count]))
        assert replies(engine, *others, again)["mine"] == alone


def test_log_probabilities_stay_the_model_s_own(engine: TorchEngine) -> None:
    def drawn(**asked: object) -> tuple[tuple[int, ...], object, object]:
        params = SamplingParams(max_tokens=9, logprobs=True, top_logprobs=3)
        params = msgspec.structs.replace(params, **asked)
        engine.seat(2, Seating(params, 5, 0, len(PROMPT)))
        while not engine.ready(2):
            pass
        (found,) = engine.step([Feed(2, 0, PROMPT, draws=True)])
        return found.tokens, found.logprobs, found.top

    under_grammar = drawn(grammar=LIST)
    assert under_grammar == drawn(allowed_tokens=under_grammar[0])


def test_an_allow_list_and_a_grammar_both_hold(engine: TorchEngine, path: Path) -> None:
    digits = LLMatcher.grammar_from_regex("[0-9]{8}")
    token = Tokenizer.from_file(str(path / "tokenizer.json")).get_vocab()
    ask = submit(
        "s", PROMPT, max_tokens=20, grammar=digits, allowed_tokens=(token["3"], token["4"])
    )
    tokens, end = replies(engine, ask)["s"]
    assert (end.reason, end.length) == ("stop", 8)
    assert set(tokens) <= {token["3"], token["4"]}


def test_a_faulty_grammar_ends_its_reply_and_no_other(engine: TorchEngine) -> None:
    found = replies(engine, asked("faulty", "nonsense {", 1), asked("sound", LIST, 5))
    assert found["faulty"][1].reason == "error"
    assert "the reply's grammar cannot be followed" in found["faulty"][1].message
    assert found["sound"] == replies(engine, asked("sound", LIST, 5))["sound"]


def test_a_model_without_a_tokenizer_says_so(tmp_path: Path) -> None:
    found = replies(engine_of(save("llama", tmp_path)), asked("s", LIST, 1))
    assert found["s"][1].reason == "error"
    assert "the model has no tokenizer.json" in found["s"][1].message
