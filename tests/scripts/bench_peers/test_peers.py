"""Each peer: what it installs, how it converts a model, and how it is started. Nothing is fetched.

`programs/flask_server.py` also answers here, since its packages are those of the tests.

Covers `flask_generate`, `llama_server`, `openvino_genai`, `peers/rowcast`, `transformers_serve`,
`vllm_cpu`, `flask_server`.
"""

import json
from collections.abc import Sequence
from pathlib import Path

import pytest

from commands.bench_peers.installation import Installation
from commands.bench_peers.model import make_model
from commands.bench_peers.peer import MOST_STREAMS, Peer, Plan, Setting
from commands.bench_peers.peers import PEERS
from commands.bench_peers.peers.llama_server import LlamaServer
from commands.bench_peers.peers.programs.flask_server import create_app
from commands.bench_peers.shapes import SHAPES

PORT = 7123
THEIRS = [each for name, each in PEERS.items() if name != "rowcast"]


class Recorded(Installation):
    """An installation whose commands are recorded in its folder, not run.

    An export leaves the folder that it would write to.
    """

    def run(self, command: Sequence[str], variables: dict[str, str] | None = None) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        with (self.folder / "ran").open("a") as file:
            file.write(f"{json.dumps(list(command))}\n")
        if "export" in command:
            Path(command[-1]).mkdir(parents=True, exist_ok=True)

    @property
    def ran(self) -> list[list[str]]:
        return [json.loads(line) for line in (self.folder / "ran").read_text().splitlines()]


@pytest.fixture
def installation(tmp_path: Path) -> Recorded:
    return Recorded("peer", tmp_path / "peer")


def planned(peer: Peer, installation: Installation, precision: str) -> Plan:
    model = installation.folder / "model"
    model.mkdir(parents=True, exist_ok=True)
    return peer.plan(installation, Setting(model, 96, 3, MOST_STREAMS), precision, PORT)


@pytest.mark.parametrize(
    ("peer", "precision"),
    [(peer, precision) for peer in PEERS.values() for precision in peer.precisions],
    ids=lambda value: value if isinstance(value, str) else value.name,
)
def test_a_plan_has_the_port_the_model_and_the_threads(
    peer: Peer, precision: str, installation: Recorded
) -> None:
    if isinstance(peer, LlamaServer):
        (installation.folder / "models").mkdir(parents=True)
    plan = planned(peer, installation, precision)
    words = [*plan.command, *plan.variables.values()]
    assert {str(PORT), "3"} <= {*words} or "0,1,2" in words  # vLLM: the cores, one by one
    assert any("model" in Path(word).parts[-1] for word in words if word.startswith("/"))
    assert plan.ready.startswith("/")


@pytest.mark.parametrize("peer", THEIRS, ids=lambda peer: peer.name)
def test_it_installs_the_version_that_it_names(peer: Peer, installation: Recorded) -> None:
    (installation.folder / f"llama.cpp-{peer.version}").mkdir(parents=True)  # already fetched
    peer.install(installation)
    words = [word for command in installation.ran for word in command]
    assert any(peer.version in word for word in words)
    assert installation.ran[0][1:3] == ["-m", "venv"]


def test_llama_server_s_weights_are_written_once_and_then_quantized(
    installation: Recorded,
) -> None:
    planned(LlamaServer(), installation, "q8_0")
    write, quantize = installation.ran
    assert Path(write[1]).is_file()
    assert quantize[1:] == [write[3], write[3].replace("bf16", "q8_0"), "Q8_0"]
    for made in (write[3], quantize[2]):
        Path(made).touch()
    planned(LlamaServer(), installation, "q8_0")
    assert len(installation.ran) == 2


def test_openvino_s_model_is_exported_once(installation: Recorded) -> None:
    for _ in range(2):
        planned(PEERS["openvino"], installation, "int8")
    assert [command[-3:-1] for command in installation.ran] == [["--weight-format", "int8"]]


@pytest.mark.parametrize("name", ["flask", "openvino"])
def test_its_program_exists(name: str, installation: Recorded) -> None:
    assert Path(planned(PEERS[name], installation, "bf16").command[1]).is_file()


@pytest.mark.slow
def test_the_flask_server_streams_as_many_tokens_as_requested(tmp_path: Path) -> None:
    client = create_app(str(make_model(SHAPES["tiny"], tmp_path / "tiny"))).test_client()
    assert client.get("/health").text == "ok"
    body = {"model": "model", "prompt": "abc", "max_tokens": 5, "stream": True}
    answer = client.post("/v1/completions", json=body)
    events = [line for line in answer.text.splitlines() if line]
    assert events[-1] == "data: [DONE]"
    *pieces, last = [json.loads(event.removeprefix("data: ")) for event in events[:-1]]
    assert "".join(each["choices"][0]["text"] for each in pieces)
    assert last["choices"][0]["finish_reason"] == "length"
