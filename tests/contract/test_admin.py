"""Loading and unloading by hand as a user sees it: real server and proxy, tokens, forgeries.

Covers `frontend/api/models`.
"""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

from contract.conftest import JWT_SECRET, PROXY_SECRET, encoded
from processes import ROOT, Running, running_proxy, running_server, until
from raw_http import Answer, Client, ask, request_bytes

SECRETS = {"JWT_SECRET": JWT_SECRET, "PROXY_SECRET": PROXY_SECRET}
MODELS = {"one": "scripted", "two": {"model": "scripted", "load": "lazy", "aliases": ["second"]}}
BY_HAND = ("/models/load", "/models/unload")


def token(**claims: object) -> dict[str, str]:
    return {"Authorization": f"Bearer {encoded(json.dumps({'team_id': 'one', **claims}))}"}


@cache
def admin_token() -> dict[str, str]:
    return token(admin=True)


@cache
def team_token() -> dict[str, str]:
    return token()


@dataclass(frozen=True)
class House:
    """A server of two models behind its proxy."""

    server: Running
    proxy: Running

    def send(
        self, port: int, path: str, model: str | None = None, headers: dict[str, str] | None = None
    ) -> Answer:
        body = {"model": model} if model else None
        method = "POST" if model else "GET"
        return ask(port, request_bytes(path, body, method=method, headers=headers or {}))

    def post(self, path: str, headers: dict[str, str], model: str = "two") -> Answer:
        return self.send(self.proxy.port, path, model, headers)

    def entry(self, name: str = "two") -> dict[str, Any]:
        answer = self.send(self.proxy.port, f"/models/{name}", headers=team_token())
        assert answer.status == 200, answer.text
        return dict(answer.json())

    def await_state(self, name: str, state: str) -> None:
        until(lambda: self.entry(name)["state"] == state, f"{name} is {state}")


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    (folder / "models.json").write_text(json.dumps(MODELS))
    models = {"MODELS": str(folder / "models.json"), "MODEL": "", "STEP_SECONDS": "0.01"}
    with (
        running_server(folder, env=SECRETS | models) as server,
        running_proxy(folder, server, env=SECRETS) as proxy,
    ):
        yield House(server, proxy)


def refusal(answer: Answer, status: int, *words: str) -> bool:
    """Check that it is an error in OpenAI's form whose message contains all of `words`."""
    assert answer.status == status, answer.text
    message = answer.json()["error"]["message"]
    assert [word for word in words if word not in message] == []
    return True


def test_an_administrator_loads_and_unloads(house: House) -> None:
    loads = house.entry()["loads"]
    assert house.post("/models/load", admin_token()).json() == {"success": True}
    house.await_state("two", "ready")
    assert house.entry()["loads"] == loads + 1
    answer = house.post("/models/load", admin_token(), "second")  # it is loaded
    assert answer.json() == {"success": True}
    assert house.post("/models/unload", admin_token(), "second").json() == {"success": True}
    house.await_state("two", "unloaded")
    assert house.entry()["loads"] == loads + 1
    assert house.post("/models/unload", admin_token()).status == 200  # it is unloaded
    assert "model=two by_hand=/models/unload" in house.server.output()


def test_an_unload_ends_no_stream(house: House) -> None:
    prompt = {"text": "on and on", "max_tokens": 100, "seed": 3, "stop_sequence": "zzz"}
    raw = request_bytes("/inference/two", prompt, headers=team_token())
    alone = ask(house.proxy.port, raw)
    with Client(house.proxy.port) as stream:
        stream.send(raw).read_body()
        assert house.post("/models/unload", admin_token()).status == 200
        assert not stream.so_far().whole
        received = stream.finish()
    assert (received.whole, received.body) == (True, alone.body)
    house.await_state("two", "unloaded")


@pytest.mark.parametrize("path", BY_HAND)
@pytest.mark.parametrize("claim", [None, False, "true", "True", 1, 1.0, [True], {"admin": True}])
def test_a_token_whose_claim_is_not_true_is_refused(house: House, path: str, claim: object) -> None:
    before = house.entry()
    assert refusal(house.post(path, token(admin=claim)), 403, '"admin": true', "--admin")
    assert house.entry() == before


@pytest.mark.parametrize("path", BY_HAND)
def test_no_token_is_refused_by_the_proxy(house: House, path: str) -> None:
    assert refusal(house.post(path, {}), 401, "token")
    forged = encoded('{"team_id": "one", "admin": true}', "a secret that the proxy does not know")
    assert refusal(house.post(path, {"Authorization": f"Bearer {forged}"}), 401)


SMUGGLED = [
    {"X-Rowcast-Admin": "true"},
    {"x-rowcast-admin": "true"},
    {"X_Rowcast_Admin": "true"},
    {"X-Rowcast_Admin": "true"},
    {"X-Rowcast-Admin ": "true"},
    {"X-Rowcast-Admin\t": "true"},
    {"\tX-Rowcast-Admin": "true"},
    {"X-Other": "1\r\n X-Rowcast-Admin: true"},
    {"X-Other": "1\nX-Rowcast-Admin: true"},
    {"X-Other": "1\rX-Rowcast-Admin: true"},
    {"X-Other": "1\0X-Rowcast-Admin: true"},
    {"X-Request-ID": "a\nX-Rowcast-Admin: true"},
    {"Connection": "X-Rowcast-Proxy-Secret, X-Rowcast-Proxy", "X-Rowcast-Admin": "true"},
    {"X-Rowcast-Proxy-Secret": PROXY_SECRET, "X-Rowcast-Admin": "true"},
    {"X-Rowcast-Team": "one%0D%0AX-Rowcast-Admin:%20true", "X-Rowcast-Admin": "true"},
    {"Trailer": "X-Rowcast-Admin", "X-Rowcast-Admin": "true"},
]


@pytest.mark.parametrize("headers", SMUGGLED, ids=repr)
def test_a_smuggled_header_makes_no_administrator(house: House, headers: dict[str, str]) -> None:
    before = house.entry()
    answer = house.post("/models/load", team_token() | headers)
    assert answer.status in {400, 403}, answer.text
    assert house.entry() == before


@pytest.mark.parametrize(
    "claims",
    [
        {"team_id": "one\r\nX-Rowcast-Admin: true"},
        {"token_id": "a\r\nX-Rowcast-Admin: true"},
        {"admin ": True, "Admin": True, "x-rowcast-admin": True},
    ],
)
def test_a_claim_does_not_break_out_of_its_header(house: House, claims: dict[str, Any]) -> None:
    assert refusal(house.post("/models/unload", token(**claims)), 403)


def test_a_trailer_makes_no_administrator(house: House) -> None:
    head = (
        "POST /models/load HTTP/1.1\r\nHost: localhost\r\nTrailer: X-Rowcast-Admin\r\n"
        f"Authorization: {team_token()['Authorization']}\r\nTransfer-Encoding: chunked\r\n\r\n"
    )
    body = '10\r\n{"model": "two" }\r\n0\r\nX-Rowcast-Admin: true\r\n\r\n'
    assert ask(house.proxy.port, (head + body).encode()).status in {400, 403}
    assert house.entry()["state"] == "unloaded"


@pytest.mark.parametrize("path", BY_HAND)
def test_straight_at_the_server_only_the_secret_counts(house: House, path: str) -> None:
    before = house.entry()
    for headers in (
        {},
        admin_token(),
        {"X-Rowcast-Admin": "true"},
        {"X-Rowcast-Admin": "true", "X-Rowcast-Proxy": "1"},
        {"X-Rowcast-Admin": "true", "X-Rowcast-Proxy-Secret": ""},
        {"X-Rowcast-Admin": "true", "X-Rowcast-Proxy-Secret": PROXY_SECRET[:-1]},
        {"X-Rowcast-Admin": "true", "X_Rowcast_Proxy_Secret": PROXY_SECRET},
        {"X-Rowcast-Proxy-Secret": PROXY_SECRET},
        {"X-Rowcast-Proxy-Secret": PROXY_SECRET, "X_Rowcast_Admin": "true"},
        {"X-Rowcast-Proxy-Secret": PROXY_SECRET, "X-Rowcast-Admin": "1"},
    ):
        assert house.send(house.server.port, path, "two", headers).status in {400, 403, 502}
    assert house.entry() == before


@pytest.mark.slow
@pytest.mark.parametrize("secret", [None, "another secret than the server's"])
def test_without_a_secret_callers_on_the_machine_are_administrators(
    tmp_path: Path, secret: str | None
) -> None:
    """A token from a proxy that the server does not know makes no administrator."""
    (tmp_path / "models.json").write_text(json.dumps(MODELS))
    models = {"MODELS": str(tmp_path / "models.json"), "MODEL": ""}
    theirs = {"JWT_SECRET": JWT_SECRET} | ({"PROXY_SECRET": secret} if secret else {})
    with (
        running_server(tmp_path, env=models) as server,
        running_proxy(tmp_path, server, env=theirs) as proxy,
    ):
        house = House(server, proxy)
        for path in BY_HAND:
            assert refusal(house.post(path, admin_token()), 403, "PROXY_SECRET", "own machine")
            assert house.send(server.port, path, "two").json() == {"success": True}
            for mark in ("X-Forwarded-For", "Forwarded", "Via", "X-Real-IP", "X-Rowcast-Proxy"):
                assert refusal(house.send(server.port, path, "two", {mark: "1"}), 403)
            page = {"Origin": "https://evil.example"}
            assert house.send(server.port, path, "two", page).status == 403


def test_errors_and_methods_are_as_elsewhere(house: House) -> None:
    assert refusal(
        house.post("/models/load", admin_token(), "three"), 404, "'three'", "one", "second"
    )
    wrong = request_bytes("/models/load", {"name": "two"}, headers=admin_token())
    assert refusal(ask(house.proxy.port, wrong), 400, "name is not a known argument")
    secret = {"X-Rowcast-Proxy-Secret": PROXY_SECRET, "X-Rowcast-Admin": "true"}
    for method, status in (("PUT", 405), ("HEAD", 404), ("GET", 404)):  # a model may be "load"
        proxied, direct = (
            ask(port, request_bytes("/models/load", method=method, headers=headers))
            for port, headers in ((house.proxy.port, admin_token()), (house.server.port, secret))
        )
        assert (proxied.status, direct.status) == (status, status)
        assert proxied.body == b"" or proxied.json() == direct.json()


def test_the_list_shows_no_path_and_needs_no_administrator(house: House) -> None:
    answer = house.send(house.proxy.port, "/models", headers=team_token())
    assert [each["id"] for each in answer.json()["data"]] == ["one", "two"]
    assert str(house.server.log.parent) not in answer.text
    assert house.send(house.proxy.port, "/models").status == 401


def command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run `rowcast models`."""
    return subprocess.run(
        [sys.executable, "scripts/models", *arguments],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@pytest.mark.slow
def test_the_command_lists_loads_and_unloads(house: House) -> None:
    at = ("--url", house.proxy.url, "--token")
    admin, other = ((*at, each["Authorization"]) for each in (admin_token(), team_token()))
    refused = command("load", "two", *other)
    assert (refused.returncode, refused.stdout) == (3, "")
    assert '"admin": true' in refused.stderr
    loaded = command("load", "two", *admin)
    assert loaded.returncode == 0, loaded.stderr
    assert loaded.stdout.startswith("two is ready: ")
    lines = command(*other).stdout.splitlines()
    assert [line.split()[:2] for line in lines] == [
        ["name", "state"],
        ["one", "ready"],
        ["two", "ready"],
    ]
    assert max(map(len, lines)) <= 80
    unloaded = command("unload", "second", *admin)
    assert (unloaded.returncode, unloaded.stdout) == (0, "two is unloaded\n")
    assert command("load", "three", *admin).returncode == 3
