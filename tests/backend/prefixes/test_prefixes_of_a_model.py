"""A model's replies have the same bits cold, over a row, copied, followed, stored, after a crash.

The real row cache: tokens and log-probabilities, greedy and sampled, with penalties and choices.
"""

import json
import random
import time
from pathlib import Path

import pytest

from backend.driven import Reader, choices, submit
from engine.test_purity import engine_of
from engine.tiny_models import VOCABULARY, save
from rowcast.backend.decode_backend import DecodeBackend
from rowcast.backend.placement import Placement
from rowcast.backend.policies import Policies
from rowcast.backend.prefixes.prefix_folder import PrefixFolder
from rowcast.backend.prefixes.prefix_placement import prefix_placement
from rowcast.engine.engine import Engine
from rowcast.engine.torch_engine import TorchEngine
from rowcast.transport.memory import MemoryTransport

pytestmark = pytest.mark.slow

LIMIT = 8 << 20
SYSTEM = tuple(random.Random(1).choices(range(3, VOCABULARY), k=270))
PARAMS: tuple[dict[str, object], ...] = (
    {"temperature": 0.0},
    {"temperature": 0.9, "top_k": 40, "repetition_penalty": 1.2, "frequency_penalty": 0.3},
)


def prompt(number: int) -> tuple[int, ...]:
    return (*SYSTEM, *random.Random(number).choices(range(3, VOCABULARY), k=70))


class Served:
    """A backend over the model, in place of the last one, and a reader."""

    def __init__(self, engine: TorchEngine, folder: Path) -> None:
        transport = MemoryTransport(seconds=0)

        def placement(engine: Engine) -> Placement:
            files = PrefixFolder(folder, engine.fingerprint, engine.token_bytes, LIMIT)
            return prefix_placement(engine, LIMIT, files)

        self.backend = DecodeBackend(
            transport.backend_port, lambda: engine, policies=Policies(placement=placement)
        )
        self.reader = Reader(transport.connect())

    def finish(self) -> None:
        self.backend.step()
        while not self.backend.idle:
            self.backend.step()
        self.reader.read()

    def await_files(self, count: int) -> None:
        for _ in range(1000):
            if self.backend.status().prefixes.entries >= count:
                return
            time.sleep(0.01)
        raise AssertionError("no file was read")


@pytest.fixture(scope="module", params=[("llama", "bfloat16"), ("gemma2", "float32")])
def engine(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> TorchEngine:
    name, precision = request.param
    folder = save(name, tmp_path_factory.mktemp("models"))
    configuration = folder / "config.json"
    words = json.loads(configuration.read_text()) | {"max_position_embeddings": 400}
    configuration.write_text(json.dumps(words))
    return engine_of(folder, precision, context=400)


@pytest.mark.parametrize("params", PARAMS, ids=["greedy", "penalised"])
def test_replies_have_the_same_bits(
    engine: TorchEngine, params: dict[str, object], tmp_path: Path
) -> None:
    served = Served(engine, tmp_path)
    reader = served.reader

    def send(name: str, number: int, key: str = "a", count: int = 1) -> None:
        reader.send(
            *choices(name, count, prompt(number), key=key, logprobs=True, max_tokens=9, **params)
        )

    def check(name: str, number: int, cached: int) -> None:
        alone = f"alone {number}"
        assert reader.tokens[name] == reader.tokens[alone]
        assert reader.logprobs[name] == reader.logprobs[alone]
        assert reader.cached[name] == cached

    for number in range(4):
        send(f"alone {number}", number, key="", count=2)
        served.finish()
    length = len(prompt(0))
    for name, number, cached in (
        ("cold", 0, 0),
        ("own row", 0, length - 1),
        ("copied", 1, len(SYSTEM)),
        ("third", 2, len(SYSTEM)),
    ):
        send(name, number)
        served.finish()
        check(name, number, cached)
    send("first", 3, key="b")
    send("followed", 3, key="b", count=2)
    served.finish()
    check("followed", 3, length - 1)
    assert reader.logprobs["followed/1"] == reader.logprobs["alone 3/1"]
    for number in range(engine.rows):  # take every row
        reader.send(submit(f"stranger {number}", prompt(9 + number), key=f"{number}"))
    served.finish()
    send("stored", 2)
    served.finish()
    check("stored", 2, length - 1)
    entries = served.backend.status().prefixes.entries
    assert entries >= 4
    for _ in range(1000):
        if len(list(tmp_path.rglob("*.prefix"))) == entries:
            break
        time.sleep(0.01)
    served = Served(engine, tmp_path)  # the last one crashes: nothing more is stored
    served.await_files(entries)
    earlier, reader = reader, served.reader
    reader.tokens.update({name: earlier.tokens[name] for name in list(earlier.tokens)})
    reader.logprobs.update({name: earlier.logprobs[name] for name in list(earlier.logprobs)})
    for name, number, cached in (("from disk", 3, length - 1), ("beginning", 1, len(SYSTEM))):
        reader.tokens.pop(name, None)
        send(name, number, key="b" if number == 3 else "a")
        served.finish()
        assert reader.cached[name] >= cached
        check(name, number, reader.cached[name])
