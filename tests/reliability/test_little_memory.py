"""A server with memory for fewer tokens than its rows may hold serves all; rows give it back."""

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import requests

from processes import SERVER, Running, free_port, running, until

pytestmark = pytest.mark.slow

CONTEXT, TOKEN = 1024, 3072  # of the storyteller: positions, and bytes of one in the cache
ROWS_IN_FULL = 4
LIMIT = ROWS_IN_FULL * CONTEXT * TOKEN
HUGE_PAGES = Path("/sys/kernel/mm/transparent_hugepage")
LOADING = 120.0  # seconds; the kernels are compiled on first use


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder, port = tmp_path_factory.mktemp("rows"), free_port()
    env = {
        "PORT": str(port),
        "MODEL": "storyteller",
        "JOURNAL": "off",
        "KV_MEMORY": str(LIMIT),
        "PREFIX_SCOPE": "off",  # rows without a reply hold nothing
    }
    with running(SERVER, port, folder / "server.log", env=env, patience=LOADING) as started:
        yield started


def complete(server: Running, **body: Any) -> requests.Response:
    return requests.post(
        f"{server.url}/v1/completions", json={"model": "storyteller"} | body, timeout=300
    )


def text(server: Running, number: int) -> str:
    """Return reply `number`: prompts and limits of different lengths."""
    answer = complete(
        server,
        prompt="Once upon a time " * (1 + number % 9),
        max_tokens=20 + 37 * number % 120,
        seed=number,
    )
    assert answer.status_code == 200, answer.text
    return str(answer.json()["choices"][0]["text"])


def cache(server: Running) -> dict[str, int]:
    found = server.health()["cache"]
    assert isinstance(found, dict)
    return found


def resident(server: Running) -> int:
    """Return the bytes of the rows that are in memory.

    Their mappings refuse huge pages, as the stacks of threads do, and reserve nothing.
    """
    total = size = 0
    for line in Path(f"/proc/{server.backend().pid}/smaps").read_text().splitlines():
        name, _, rest = line.partition(":")
        if name == "Rss":
            size = int(rest.split()[0]) * 1024
        elif name == "VmFlags" and {"nh", "nr"} <= set(rest.split()):
            total += size
    return total


@pytest.mark.skipif(not HUGE_PAGES.is_dir(), reason="mappings are found by their huge pages")
def test_memory_of_long_prompts_goes_back_to_the_system(server: Running) -> None:
    def long(number: int) -> None:
        answer = complete(server, prompt=[5 + number] * (CONTEXT - 1), max_tokens=1)
        assert answer.status_code == 200, answer.text

    sizes = [0]
    with ThreadPoolExecutor(ROWS_IN_FULL) as pool:
        replies = [pool.submit(long, number) for number in range(ROWS_IN_FULL)]
        while not all(reply.done() for reply in replies):
            sizes.append(resident(server))
            time.sleep(0.1)
    for reply in replies:
        reply.result()
    assert LIMIT * 0.6 < max(sizes) <= LIMIT
    until(lambda: resident(server) < LIMIT * 0.58, "rows give back what short replies do not need")
    assert text(server, 1) == text(server, 1)


def test_forty_requests_at_once_get_the_replies_that_each_gets_alone(server: Running) -> None:
    with ThreadPoolExecutor(40) as pool:
        together = list(pool.map(lambda number: text(server, number), range(40)))
    for number in (0, 7, 22, 39):
        assert text(server, number) == together[number]
    assert resident(server) <= LIMIT
    until(lambda: cache(server)["committed_tokens"] == 0, "nothing is committed")
    assert cache(server)["tokens"] == ROWS_IN_FULL * CONTEXT
    assert cache(server)["token_bytes"] == TOKEN


def test_a_search_that_can_never_fit_is_refused_with_the_arithmetic(server: Running) -> None:
    refused = complete(server, prompt="Once", best_of=8, use_beam_search=True, max_tokens=1000)
    assert refused.status_code == 400
    error = refused.json()["error"]
    assert error["code"] == "context_length_exceeded"
    assert "needs memory for 8192 tokens" in error["message"]
    assert f"there is memory for 4096 ({LIMIT} bytes, {TOKEN} for each)" in error["message"]
    assert "higher KV_MEMORY" in error["message"]
