"""The parts of `scripts/bench_peers`: its model, its services, its ratios, the peers' own files.

Covers `bench_peers/model`, `rounds`, `scores`, `bench_peers/service`, `shapes`, `usage`,
`transformers_serve`.
"""

import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from commands.bench.dialects import DIALECTS
from commands.bench.load.outcome import Outcome
from commands.bench.load.requests import Request, Sizes, make_requests
from commands.bench.results.figures import Run, summarize
from commands.bench_peers import usage
from commands.bench_peers.model import BYTES, make_model, tensor_sizes
from commands.bench_peers.options import Options
from commands.bench_peers.peer import Plan
from commands.bench_peers.peers import PEERS
from commands.bench_peers.peers.transformers_serve import TransformersCompletions
from commands.bench_peers.rounds import Burst, Rounds, Turns, fault_of
from commands.bench_peers.scores import scores
from commands.bench_peers.service import Service
from commands.bench_peers.shapes import SHAPES
from commands.bench_peers.usage import Memory
from processes import free_port, until

PROGRAM = Path(__file__).with_name("peer_program.py")
SIZES = (4, 10)  # tokens of a prompt and of a reply


def test_shapes_count_their_weights() -> None:
    for shape in SHAPES.values():
        counted = 0
        for _, size in tensor_sizes(shape):
            counted += size[0] * (size[1] if len(size) == 2 else 1)
        assert counted == shape.parameters


@pytest.mark.slow
def test_a_model_is_made_once_and_the_same_each_time(tmp_path: Path) -> None:
    first = make_model(SHAPES["tiny"], tmp_path / "a") / "model.safetensors"
    again = make_model(SHAPES["tiny"], tmp_path / "b") / "model.safetensors"
    other = make_model(SHAPES["tiny"], tmp_path / "c", seed=1) / "model.safetensors"
    assert first.read_bytes() == again.read_bytes() != other.read_bytes()
    (tmp_path / "a" / "mark").touch()
    make_model(SHAPES["tiny"], tmp_path / "a")
    assert (tmp_path / "a" / "mark").exists()
    make_model(SHAPES["12.5M"], tmp_path / "a")
    assert not (tmp_path / "a" / "mark").exists()


def test_a_byte_of_a_prompt_is_a_token_and_none_of_a_reply_is(tmp_path: Path) -> None:
    from safetensors.torch import load_file  # noqa: PLC0415  # slow
    from tokenizers import Tokenizer  # noqa: PLC0415

    folder = make_model(SHAPES["tiny"], tmp_path / "model")
    tokenizer = Tokenizer.from_file(str(folder / "tokenizer.json"))
    for request in make_requests(3, Sizes(128, 8, "byte"), 7):
        ids = tokenizer.encode(request.prompt).ids
        assert len(ids) == 128
        assert tokenizer.decode(ids) == request.prompt
    words = range(BYTES + 1, SHAPES["tiny"].vocabulary)
    assert all(tokenizer.decode([word]).startswith(" w") for word in words)
    head = load_file(folder / "model.safetensors")["lm_head.weight"]
    assert not head[: BYTES + 1].any()
    assert head[BYTES + 1 :].any(dim=1).all()


def service(tmp_path: Path, *flags: str) -> Service:
    port = free_port()
    command = (sys.executable, str(PROGRAM), "--port", str(port), *flags)
    plan = Plan(command=command, ready="/health", dialect=DIALECTS["openai"])
    return Service("fake", plan, port, tmp_path / "log")


def test_nothing_of_a_server_stays_behind(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("commands.bench_peers.service.STOP_SECONDS", 0.2)
    started = service(tmp_path, "--deaf")
    started.start(patience=30)
    first = (tmp_path / "log").read_text().splitlines()[0]  # a probe that resets may add more
    _, child, own = first.split()
    family = usage.members(int(own))
    assert {each.pid for each in family} == {int(own), int(child)}
    started.stop()
    until(lambda: not any(each.lives for each in family), "the end of both")


@pytest.mark.slow
def test_a_service_tells_what_it_takes(tmp_path: Path) -> None:
    started = service(tmp_path)
    try:
        started.start(patience=30)
        run = started.burst(make_requests(2, Sizes(4, 10, "byte"), 1), timeout=30)
        assert fault_of(run, *SIZES) is None
        assert 1 < started.memory().pss_mb <= started.memory().rss_mb
        assert started.cpu_seconds() > 0
    finally:
        started.stop()
    assert started.memory() == Memory(0, 0)


def outcome(tokens: int, seconds: float, index: int = 0) -> Outcome:
    moments = [seconds * (1 + number) / tokens for number in range(tokens)]
    seen = Outcome(index, 0.0, 0.0, 0.0, moments[0], moments, seconds, 200)
    seen.pieces = seen.usage_tokens = tokens
    seen.prompt_tokens = 4
    seen.received = tokens
    return seen


def burst(
    label: str, number: int, seconds: float, fault: str | None = None, *, again: bool = False
) -> Burst:
    summary = summarize(Run([outcome(10, seconds)], 0.0))
    idle = {"a": 0.5} if label == "b" else {"b": 0.0}
    return Burst(label, number, 1, again, summary, Memory(20, 10), 1.5, idle, fault)


def test_a_lead_is_of_bursts_of_the_same_round() -> None:
    turns = [burst("a", 1, 1), burst("b", 1, 2), burst("a", 2, 10), burst("b", 2, 40)]
    turns += [burst("a", 3, 1), burst("b", 3, 3, "cut")]
    first, second = scores(turns)
    assert (first.label, first.lead, first.tokens_per_s, first.idle) == ("a", 1, 10, 0.5)
    assert (second.lead, second.lead_lowest, second.lead_highest) == (3, 2, 4)
    assert second.tokens_per_s == pytest.approx(10 / 3)
    assert second.gap_p50 == pytest.approx(0.3)
    assert second.faults == ["cut"]
    assert scores([]) == []


def test_continued_bursts_have_scores_of_their_own() -> None:
    turns = [burst("a", 1, 1), burst("a", 1, 0.1, again=True)]
    turns += [burst("b", 1, 2), burst("b", 1, 0.4, again=True)]
    found = [(score.label, score.again, score.lead) for score in scores(turns)]
    assert found == [("a", False, 1), ("a", True, 1), ("b", False, 2), ("b", True, 4)]


class RecordingService(Service):
    """Replies at once, and stores the prompts."""

    def __init__(self, folder: Path) -> None:
        super().__init__(
            "recording", Plan(command=(), ready="/", dialect=DIALECTS["openai"]), 0, folder / "log"
        )
        self.prompts: list[str] = []

    def burst(self, requests: Sequence[Request], timeout: float) -> Run:
        self.prompts += [request.prompt for request in requests]
        outcomes = [outcome(10, 1, request.index) for request in requests]
        for seen, request in zip(outcomes, requests, strict=True):
            seen.prompt_tokens = len(request.prompt)
        return Run(outcomes, 0.0)


@pytest.mark.slow
def test_a_burst_is_continued(tmp_path: Path) -> None:
    recording = RecordingService(tmp_path)
    turns = Turns((2,), 2, prompt_tokens=30, reply_tokens=10, timeout=5, again=12)
    bursts = Rounds([(recording, 2)], turns, lambda line: None).measure()
    assert [(each.round, each.again, each.fault) for each in bursts] == [
        *((1, False, None), (1, True, None)),
        *((2, False, None), (2, True, None)),
    ]
    assert [len(prompt) for prompt in recording.prompts] == [30, 30, 42, 42] * 2
    assert len({prompt[:10] for prompt in recording.prompts}) == 4
    for at in (0, 1, 4, 5):
        assert recording.prompts[at + 2].startswith(f"{recording.prompts[at]} ")


def test_faults_are_found() -> None:
    assert fault_of(Run([outcome(10, 1)], 0), *SIZES) is None
    assert fault_of(Run([outcome(9, 1)], 0), *SIZES) == "a reply had 9 tokens, not 10"
    long = outcome(10, 1)
    long.prompt_tokens = 5
    assert fault_of(Run([outcome(10, 1), long], 0), *SIZES) == "a prompt had 5 tokens, not 4"
    cut = outcome(10, 1)
    cut.failure, cut.detail = "status 500", " all\n is lost "
    assert fault_of(Run([cut], 0), *SIZES) == "status 500: all is lost"


def test_an_end_without_a_last_word() -> None:
    events = [
        {"choices": [{"text": " w1"}]},
        {"choices": [{"text": "", "finish_reason": "length"}]},
    ]
    reader = TransformersCompletions().reader()
    reader.feed([f"data: {json.dumps(events[0])}\n\n".encode()])
    assert reader.close() == "no end event"
    reader.feed([f"data: {json.dumps(events[1])}\n\n".encode()])
    assert reader.close() is None


def test_every_peer_is_told_of() -> None:
    text = (Path("scripts/commands/bench_peers/peers/README.md")).read_text()
    for name, peer in PEERS.items():
        assert name == peer.name
        assert f"`{name}`" in text
        assert f"| {peer.version} |" in text
        for precision in peer.precisions:
            assert precision in text


def test_times_are_of_one_clock() -> None:
    """`openvino` sends times of its own process."""
    assert time.get_clock_info("perf_counter").implementation == "clock_gettime(CLOCK_MONOTONIC)"


def test_the_context_holds_prompts_that_are_continued() -> None:
    assert Options(command="run", prompt_tokens=1000, again=32, reply_tokens=16).context == 1048
