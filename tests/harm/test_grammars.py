"""Grammars that cost too much harm only their sender.

Each attack runs alongside another caller's stream on the same worker and decoder: no process dies,
the stream's longest gap stays close to its calm one, the attacker is told the limit, and another
caller gets a plain JSON reply meanwhile.
"""

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests

from processes import Running, running_server

pytestmark = pytest.mark.slow

LEAST_GAP = 2.0  # seconds that other work on the machine may take
PATIENCE = 60


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("grammars")
    with running_server(folder, env={"STEP_SECONDS": "0.005"}) as running:
        yield running


class Stream:
    """Another caller's stream, and the gaps between its chunks: calm ones, then under attack."""

    def __init__(self, server: Running) -> None:
        body = {
            "model": "scripted",
            "prompt": "witness",
            "max_tokens": 12_000,
            "stream": True,
            "ignore_eos": True,
        }
        self._answer = requests.post(
            f"{server.url}/v1/completions", json=body, stream=True, timeout=PATIENCE
        )
        assert self._answer.status_code == 200
        self._gaps: list[float] = []
        self._last = time.monotonic()
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._read)
        self._thread.start()

    def longest(self, seconds: float = 0.0) -> float:
        """Wait; return the longest gap since the last call, including the current one."""
        time.sleep(seconds)
        assert not self._ended.is_set(), "the stream was cut"
        gaps, self._gaps = self._gaps, []
        return max([*gaps, time.monotonic() - self._last])

    def close(self) -> None:
        self._ended.set()
        self._thread.join(PATIENCE)
        self._answer.close()

    def _read(self) -> None:
        for _ in self._answer.iter_lines(chunk_size=1):
            if self._ended.is_set():
                return
            now = time.monotonic()
            self._gaps.append(now - self._last)
            self._last = now
        self._ended.set()


def completion(server: Running, **rule: Any) -> requests.Response:
    body = {"model": "scripted", "prompt": "attack", "max_tokens": 40, **rule}
    return requests.post(f"{server.url}/v1/completions", json=body, timeout=PATIENCE)


def plain_json(server: Running) -> requests.Response:
    """Send what another caller requests meanwhile."""
    body = {
        "model": "scripted",
        "messages": [{"role": "user", "content": "an object"}],
        "max_tokens": 20,
        "response_format": {"type": "json_object"},
    }
    return requests.post(f"{server.url}/v1/chat/completions", json=body, timeout=PATIENCE)


def unharmed(server: Running, *attacks: dict[str, Any]) -> list[requests.Response]:
    """Send all attacks at once; return their answers. Check that nobody else is affected."""
    pids = {each.pid for each in [*server.workers(), server.backend()]}
    witness = Stream(server)
    try:
        calm = witness.longest(1.0)
        with ThreadPoolExecutor(len(attacks) + 1) as senders:
            sent = [senders.submit(completion, server, **attack) for attack in attacks]
            other = senders.submit(plain_json, server)
            assert other.result(PATIENCE).status_code == 200
            answers = [each.result(PATIENCE) for each in sent]
        attacked = witness.longest(0.2)
    finally:
        witness.close()
    assert attacked < max(10 * calm, LEAST_GAP), f"a gap of {attacked:.2f} s; calm {calm:.3f} s"
    assert {each.pid for each in [*server.workers(), server.backend()]} == pids
    return answers


def references(links: int) -> dict[str, Any]:
    chain = {f"a{at}": {"$ref": f"#/$defs/a{at + 1}"} for at in range(links)}
    return {"$ref": "#/$defs/a0", "$defs": {**chain, f"a{links}": {"type": "string"}}}


def rules(links: int) -> str:
    chain = "\n".join(f"r{at}: r{at + 1}" for at in range(links))
    return f'start: r0\n{chain}\nr{links}: "a"'


def test_c1_chains_of_references_and_rules_are_refused(server: Running) -> None:
    *chains, nested = unharmed(
        server,
        {"guided_json": references(1_500)},
        {"guided_json": references(4_000)},
        {"guided_grammar": rules(2_700)},
        {"guided_grammar": rules(9_000)},
        {"guided_json": json.loads('{"items":' * 300 + "{}" + "}" * 300)},
    )
    for answer in (*chains, nested):
        assert answer.status_code == 400, answer.text
    for answer in chains:
        assert "at most" in answer.text
    assert "the limit is 128" in nested.text


def test_c3_a_grammar_of_forty_thousand_symbols_is_refused(server: Running) -> None:
    (answer,) = unharmed(server, {"guided_grammar": "start: " + "r? " * 40_000 + '\nr: "a"'})
    assert answer.status_code == 400
    assert "number of symbols" in answer.text


def test_c3_a_mask_that_needs_too_much_ends_its_own_reply(server: Running) -> None:
    grammar = "start: " + "r? " * 1_000 + '\nr: "a"'
    for answer in unharmed(server, {"guided_grammar": grammar, "n": 16}):
        assert answer.status_code == 500
        assert "needs more work for its next token than is allowed" in answer.text


def test_h4_a_multiple_of_a_large_number_is_refused(server: Running) -> None:
    schema = {"type": "integer", "multipleOf": 1999993}
    (answer,) = unharmed(server, {"guided_json": schema})
    assert answer.status_code == 400
    assert "at most 20,000 are allowed" in answer.text


def test_h4_a_queue_of_slow_grammars_does_not_keep_others_waiting(server: Running) -> None:
    schemas = [{"type": "integer", "multipleOf": 19_000 + at} for at in range(8)]
    for answer in unharmed(server, *({"guided_json": schema} for schema in schemas)):
        assert answer.status_code == 200
