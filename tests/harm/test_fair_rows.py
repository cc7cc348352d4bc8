"""One team's flood of long replies does not keep another team from its row (finding H3).

Two teams, distinguished as the proxy does it. One fills all rows and the waiting line; the other's
requests for four tokens finish within 1.3 times their calm time plus one of the seated replies
(three, since the machine may be busy; first come, first served would take eight or more), and are
never refused.
"""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from statistics import median

import pytest

from processes import Running, running_server, until
from raw_http import Answer, Client, ask, request_bytes

pytestmark = pytest.mark.slow

PATH = "/v1/completions"
SECRET = "between proxy and server, for tests"
ROWS = 32
LONG, SHORT = 150, 4  # tokens
STEP_SECONDS = "0.01"
NOISE = 3


def request(team: str, tokens: int, **fields: object) -> bytes:
    """Return what the proxy would forward."""
    claims = {"X-Rowcast-Proxy-Secret": SECRET, "X-Rowcast-Team": team}
    body = {"model": "scripted", "prompt": "Once", "max_tokens": tokens, "ignore_eos": True}
    body |= {"seed": 1, **fields}
    return request_bytes(PATH, body, headers=claims)


def timed(port: int, asked: bytes) -> tuple[float, Answer]:
    began = time.monotonic()
    answer = ask(port, asked)
    taken = time.monotonic() - began
    assert answer.status == 200, answer.text
    return taken, answer


@contextlib.contextmanager
def serving(folder: Path, **settings: str) -> Iterator[Running]:
    env = {"PROXY_SECRET": SECRET, "STEP_SECONDS": STEP_SECONDS, **settings}
    with running_server(folder, env=env) as started:
        yield started


FLOODS: Mapping[str, list[bytes]] = {
    "requests of 128 choices": [request("flood", LONG, n=128)] * 8,
    "single requests": [request("flood", LONG)] * 256,
    "requests of 32 choices": [request("flood", LONG, n=32)] * 12,
}


@contextlib.contextmanager
def flooded(
    server: Running, flood: list[bytes], waiting: int
) -> Iterator[Callable[[bytes], Client]]:
    """Seat all rows, with at least `waiting` prompts in line; disconnect all at the end."""
    with contextlib.ExitStack() as clients:

        def send(asked: bytes) -> Client:
            return clients.enter_context(Client(server.port)).send(asked)

        for asked in flood:
            send(asked)
        until(lambda: server.rows_seated() == ROWS and server.waiting() >= waiting, "a long line")
        yield send


@pytest.mark.parametrize("kind", FLOODS)
def test_h3_a_flood_of_one_team_delays_another_by_one_reply_of_those_seated(
    tmp_path: Path, kind: str
) -> None:
    with serving(tmp_path) as server:
        calm = median(timed(server.port, request("other", SHORT))[0] for _ in range(5))
        reply, _ = timed(server.port, request("flood", LONG))
        with flooded(server, FLOODS[kind], waiting=6 * ROWS):
            for _ in range(2):
                taken, answer = timed(server.port, request("other", SHORT))
                assert answer.json()["usage"]["completion_tokens"] == SHORT
                assert taken < 1.3 * calm + NOISE * reply
                assert server.waiting() >= ROWS, "the flood has ended"


def test_h3_a_team_that_fills_the_line_is_refused_and_no_other_is(tmp_path: Path) -> None:
    line = 4 * ROWS
    with (
        serving(tmp_path, WAITING_LINE=f"{line}") as server,
        flooded(server, [request("flood", LONG, n=ROWS)] * 5, waiting=line) as send,
    ):
        refused = ask(server.port, request("flood", LONG, n=ROWS))
        assert refused.status == 503
        assert "retry-after" in refused.headers
        others = [send(request("other", SHORT)) for _ in range(30)]
        assert [each.finish().status for each in others] == [200] * 30
