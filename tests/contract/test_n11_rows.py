"""The rows as a user sees them: a real server of two workers and two models, a proxy, tokens."""

import json
import signal
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from contract.conftest import JWT_SECRET, PROXY_SECRET, encoded
from frontend.serving import lasting_seed
from processes import Running, running_proxy, running_server, until
from raw_http import Answer, Client, ask, request_bytes

SECRETS = {"JWT_SECRET": JWT_SECRET, "PROXY_SECRET": PROXY_SECRET}
MODELS = {"one": "scripted", "two": {"model": "scripted", "load": "lazy"}}
PATH = "/v1/rows"
TOKENS = 600
SEED = lasting_seed("on and on", TOKENS)
REPORTED = 1.5  # seconds after which every worker has been sent the rows again
LOOKS = 8  # requests, each on a connection of its own, that reach both workers

pytestmark = pytest.mark.slow


def token(team: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {encoded(json.dumps({'team_id': team}))}"}


BLUE, RED = token("blue"), token("red")


@dataclass(frozen=True)
class House:
    """A server of two workers and two models, behind its proxy."""

    server: Running
    proxy: Running

    def get(self, headers: dict[str, str]) -> Answer:
        return ask(self.proxy.port, request_bytes(PATH, method="GET", headers=headers))

    def rows(self, model: str, team: dict[str, str]) -> list[dict[str, Any]]:
        """Return the occupied rows of a model, as a team sees them."""
        answer = self.get(team)
        assert answer.status == 200, answer.text
        found = next(each for each in answer.json()["models"] if each["id"] == model)
        return [row for row in found["rows"] if row]

    def own(self, model: str, team: dict[str, str]) -> list[str]:
        """Return the streams that a team sees as its own."""
        return [row["stream"] for row in self.rows(model, team) if row["own"]]

    def begin(self, client: Client, model: str, team: dict[str, str]) -> str:
        """Begin a stream that lasts half a minute; return its id."""
        body = {"text": "on and on", "max_tokens": TOKENS, "seed": SEED, "stop_sequence": "zzz"}
        client.send(request_bytes(f"/inference/{model}", body, headers=team)).read_body()
        return client.so_far().headers["x-stream-id"]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder: Path = tmp_path_factory.mktemp("rows")
    (folder / "models.json").write_text(json.dumps(MODELS))
    env = {"MODELS": str(folder / "models.json"), "MODEL": "", "STEP_SECONDS": "0.05"}
    env |= {"WORKERS": "2", "JOURNAL": str(folder / "journal.db")}
    with (
        running_server(folder, env=SECRETS | env) as server,
        running_proxy(folder, server, env=SECRETS) as proxy,
    ):
        yield House(server, proxy)


def test_n11_rows_are_shown_to_who_has_a_token(house: House) -> None:
    assert house.get({}).status == 401
    report = house.get(BLUE).json()
    assert report["object"] == "rows"
    assert [each["id"] for each in report["models"]] == ["one", "two"]
    assert [each["state"] for each in report["models"]] == ["ready", "unloaded"]


@pytest.mark.parametrize("model", ["one", "two"])
def test_n11_every_worker_shows_a_teams_rows_and_hides_them_from_others(
    house: House, model: str
) -> None:
    with Client(house.proxy.port) as client:
        stream = house.begin(client, model, BLUE)
        until(lambda: house.own(model, BLUE) == [stream], "its row")
        time.sleep(REPORTED)
        for _ in range(LOOKS):
            assert house.own(model, BLUE) == [stream]
            (seen,) = house.rows(model, RED)
            assert (seen, stream in house.get(RED).text) == (
                {"row": seen["row"], "own": False},
                False,
            )


def test_n11_a_row_is_back_after_its_decoder_was_killed(house: House) -> None:
    with Client(house.proxy.port) as client, Client(house.proxy.port) as watch:
        stream = house.begin(client, "one", BLUE)
        watch.send(
            request_bytes(PATH, method="GET", headers=BLUE | {"Accept": "text/event-stream"})
        )
        until(lambda: stream in json.dumps(next_model(watch)), "its row")
        steps = next_model(watch)["steps"]
        house.server.backend("one").kill()
        until(lambda: 0 < next_model(watch)["steps"] < steps, "another decoder counts its steps")
        (row,) = (row for row in next_model(watch)["rows"] if row)
        assert (row["stream"], row["own"]) == (stream, True)
        assert not client.so_far().whole


def next_model(watch: Client) -> dict[str, Any]:
    """Read on; return the first model in the last event that is complete."""
    known = len(watch.read_headers().so_far().body)
    body = watch.read_body(known + 1).so_far().text
    event = body.rpartition("\n\n")[0].rpartition("\n\n")[2]
    return dict(json.loads(event.removeprefix("data: "))["models"][0]) if event else {"steps": 0}


def test_n11_a_worker_that_is_replaced_ends_its_watchers_streams(house: House) -> None:
    with Client(house.server.port) as watch:
        secret = {"X-Rowcast-Proxy-Secret": PROXY_SECRET, "Accept": "text/event-stream"}
        watch.send(request_bytes(PATH, method="GET", headers=secret)).read_body()
        house.server.process.send_signal(signal.SIGHUP)
        answer = watch.finish()
        assert (answer.status, answer.whole) == (200, True)
    until(house.server.ready, "the new workers serve")
