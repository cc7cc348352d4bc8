"""N-06 and Q-05: prefixes are shared within a team, counted, and invisible outside it.

Over real processes: an instant server with a journal, and the proxy in front of it.
"""

import contextlib
import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from contract.asking import get, post
from contract.conftest import JWT_SECRET, PROXY_SECRET, encoded
from processes import SERVER, Running, free_port, running, running_proxy, running_server
from raw_http import Answer

pytestmark = pytest.mark.slow

BEGINNING = "Once upon a time there was a lighthouse keeper who counted the ships. " * 3
LEAST = len(BEGINNING) // 2  # of cached tokens: a token is a byte, and a few may be computed again
CHAT = "/v1/chat/completions"
USAGE: dict[str, Any] = {"stream_options": {"include_usage": True}}
BLUE, OTHER_BLUE, RED = ("blue", "1"), ("blue", "2"), ("red", "1")
_numbers = itertools.count()


@contextlib.contextmanager
def behind_proxy(folder: Path, **settings: str) -> Iterator[tuple[Running, Running]]:
    """A server and its proxy."""
    port = free_port()
    secrets = {"JWT_SECRET": JWT_SECRET, "PROXY_SECRET": PROXY_SECRET}
    env = {"PORT": str(port), "MODEL": "scripted", **secrets, **settings}
    with (
        running(SERVER, port, folder / f"log-{port}", env=env) as server,
        running_proxy(folder, server, env=secrets) as proxy,
    ):
        yield server, proxy


@pytest.fixture(scope="module")
def proxy(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    folder = tmp_path_factory.mktemp("prefixes")
    with behind_proxy(folder, JOURNAL=str(folder / "journal.db")) as (_, made):
        yield made


@pytest.fixture(scope="module")
def token_of() -> dict[tuple[str, str], str]:
    """The header of each caller."""
    return {
        (team, token): "Bearer " + encoded(json.dumps({"team_id": team, "token_id": token}))
        for team, token in (BLUE, OTHER_BLUE, RED)
    }


def fresh() -> str:
    """Return a text that no test has sent before, with a beginning that no other has."""
    return f"{next(_numbers)} {BEGINNING}"


class Caller:
    """Sends chats with one token."""

    def __init__(self, proxy: Running, header: str) -> None:
        self._port = proxy.port
        self._header = header

    def send(self, text: str, path: str = CHAT, **fields: Any) -> Answer:
        body = {
            "model": "scripted",
            "seed": 7,
            "max_tokens": 12,
            "messages": [{"role": "user", "content": text}],
            **fields,
        }
        answer = post(self._port, body, path, Authorization=self._header)
        assert answer.status == 200, answer.text
        return answer

    def cached(self, text: str, **fields: Any) -> int:
        found: int = self.send(text, **fields).json()["usage"]["prompt_tokens_details"][
            "cached_tokens"
        ]
        return found

    def read(self, stream: str) -> Answer:
        return get(self._port, f"/v1/streams/{stream}", Authorization=self._header)


Tokens = dict[tuple[str, str], str]


def test_n06_a_prefix_is_found_within_the_team_and_changes_no_byte(
    proxy: Running, token_of: Tokens
) -> None:
    text, blue = fresh(), Caller(proxy, token_of[BLUE])
    first, second = blue.send(text).json(), blue.send(text).json()
    assert first["choices"] == second["choices"]
    assert first["usage"]["prompt_tokens_details"]["cached_tokens"] == 0
    assert second["usage"]["prompt_tokens_details"]["cached_tokens"] >= LEAST
    assert Caller(proxy, token_of[OTHER_BLUE]).cached(text) >= LEAST


def test_n06_another_team_finds_nothing_whatever_it_sends(proxy: Running, token_of: Tokens) -> None:
    text, blue, red = fresh(), Caller(proxy, token_of[BLUE]), Caller(proxy, token_of[RED])
    blue.send(text)
    assert red.cached(text) == 0
    assert red.cached(text) >= LEAST  # its own
    salted, salt = fresh(), "the team blue"
    blue.send(salted, cache_salt=salt)
    assert red.cached(salted, cache_salt=salt) == 0
    assert red.cached(salted, cache_salt="blue") == 0


def test_n06_a_salt_narrows_what_a_team_shares(proxy: Running, token_of: Tokens) -> None:
    text, blue = fresh(), Caller(proxy, token_of[BLUE])
    blue.send(text)
    assert blue.cached(text, cache_salt="one person") == 0
    assert blue.cached(text, cache_salt="one person") >= LEAST
    assert blue.cached(text, cache_salt="another") == 0


def test_n06_claims_that_are_not_verified_change_nothing(proxy: Running, token_of: Tokens) -> None:
    text = fresh()
    Caller(proxy, token_of[BLUE]).send(text)
    headers = {"X_Rowcast_Team": "blue", "X_Rowcast_Proxy_Secret": PROXY_SECRET}
    body = {"model": "scripted", "messages": [{"role": "user", "content": text}]}
    sent = post(proxy.port, body, CHAT, Authorization=token_of[RED], **headers)
    assert sent.json()["usage"]["prompt_tokens_details"]["cached_tokens"] == 0


def test_n06_what_other_teams_send_shows_in_no_figure(proxy: Running, token_of: Tokens) -> None:
    assert "prefixes" not in get(proxy.port, "/health").json()


def test_n06_tokens_share_with_themselves_alone_if_that_is_the_scope(
    tmp_path: Path, token_of: Tokens
) -> None:
    text = fresh()
    with behind_proxy(tmp_path, PREFIX_SCOPE="token") as (_, proxy):
        blue, other = Caller(proxy, token_of[BLUE]), Caller(proxy, token_of[OTHER_BLUE])
        assert [blue.cached(text), other.cached(text)] == [0, 0]
        assert min(blue.cached(text), other.cached(text)) >= LEAST


def test_n06_nothing_is_shared_if_it_is_off(tmp_path: Path) -> None:
    text = fresh()
    with running_server(tmp_path, env={"PREFIX_SCOPE": "off"}) as server:
        local = Caller(server, "")
        assert [local.cached(text), local.cached(text)] == [0, 0]


def test_q05_each_dialect_reports_cached_tokens(proxy: Running, token_of: Tokens) -> None:
    text, blue = fresh(), Caller(proxy, token_of[BLUE])
    blue.send(text)
    chat = blue.send(text).json()["usage"]
    found = chat["prompt_tokens_details"]["cached_tokens"]
    message = blue.send(text, "/v1/messages").json()["usage"]
    read, rest = message["cache_read_input_tokens"], message["input_tokens"]
    assert read >= LEAST
    assert (read + rest, found >= LEAST) == (chat["prompt_tokens"], True)
    start = blue.send(text, "/v1/messages", stream=True).text.partition("\n\n")[0]
    assert f'"cache_read_input_tokens":{read}' in start
    body = {"model": "scripted", "input": text, "max_output_tokens": 5}
    response = post(proxy.port, body, "/v1/responses", Authorization=token_of[BLUE]).json()
    assert response["usage"]["input_tokens_details"]["cached_tokens"] >= LEAST
    for path in ("/inference/scripted", "/chat/scripted"):
        native = {"text": text, "stream": False, "max_tokens": 5}
        for _ in range(2):
            summary = post(proxy.port, native, path, Authorization=token_of[BLUE]).json()
        assert summary["cached_tokens"] >= LEAST


def test_q05_a_stream_shows_the_same_number_after_the_server_was_killed(
    tmp_path: Path, token_of: Tokens
) -> None:
    """The second server has computed nothing before, and finds nothing."""
    text, journal = fresh(), str(tmp_path / "journal.db")
    slow = {"JOURNAL": journal, "STEP_SECONDS": "0.02", "MOCK_MODEL": "1"}
    with behind_proxy(tmp_path, **slow) as (server, proxy):
        blue = Caller(proxy, token_of[BLUE])
        blue.send(text)
        whole = blue.send(text, stream=True, **USAGE)
        stream = whole.headers["x-stream-id"]
        count = _counts(whole.text)
        assert count[0] >= LEAST
        server.process.kill()
    with behind_proxy(tmp_path, JOURNAL=journal) as (_, proxy):
        again = Caller(proxy, token_of[BLUE]).read(stream)
        assert _counts(again.text) == count


def _counts(text: str) -> list[int]:
    """Return the numbers of cached tokens in a stream."""
    parts = text.split('"cached_tokens":')[1:]
    return [int(part.partition("}")[0]) for part in parts]
