"""Loading and unloading by hand: who may, what is sent, and how the list of models shows states.

Covers `documents/models`, `openai/models`, `model_types`, `reasons`.
"""

from collections.abc import Iterator
from typing import Any

import pytest
from werkzeug.test import TestResponse

from rowcast.frontend.models import models as claims
from rowcast.frontend.models.models import Models
from rowcast.frontend.models.reasons import without_paths
from rowcast.frontend.models.supervision import Listener
from rowcast.models.build import Build
from rowcast.models.messages import BuildState, Done, FromFrontend, Load, Snapshot, Unload

from ..serving import Served, serving

ADMIN = {"X-Rowcast-Admin": "true"}
STATE = BuildState(
    build=Build(id="big-1", name="big", variables={}, aliases=("huge",), load="lazy"),
    state="unloaded",
    url="",
    current=True,
)
FIELDS = {
    *("id", "object", "created", "owned_by", "permission", "root", "max_model_len"),
    *("dimensions", "pooling"),
    *("fingerprint", "status", "state", "aliases", "bytes", "load", "idle_seconds", "keep"),
    *("loads", "load_seconds", "others"),
}


class Recorded:
    """A supervisor that records orders and answers with `problem`; None: no answer."""

    problem: str | None = ""

    def __init__(self) -> None:
        self.sent: list[FromFrontend] = []

    def start(self, listener: Listener) -> None:
        self.listener = listener

    def send(self, message: FromFrontend) -> None:
        self.sent.append(message)
        if isinstance(message, Load | Unload) and self.problem is not None:
            self.listener.receive(Done(message.number, self.problem))

    def close(self) -> None:
        """Do nothing."""


class Hand:
    """A server with one loaded model and one that is in `state`, and its supervisor."""

    def __init__(self, served: Served) -> None:
        self.served = served
        self.supervisor = Recorded()
        self.loaded = served.frontend.models.current[0]
        self.models = Models(served.frontend.settings, self.supervisor)
        assert self.loaded.served is not None
        self.models.adopt(self.loaded.served)
        self.supervisor.start(self.models)
        self.show(STATE)
        served.frontend.models = self.models

    def show(self, *states: BuildState) -> None:
        self.models.receive(Snapshot(builds=(self.loaded.state, *states)))

    def post(self, path: str, body: object, **headers: str) -> TestResponse:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.served.client.post(path, json=body, headers=ADMIN | named, buffered=True)

    def listed(self, name: str = "big", **headers: str) -> dict[str, Any]:
        response = self.served.client.get("/models", headers=headers, buffered=True)
        assert response.status_code == 200
        found: dict[str, Any] = response.get_json()
        assert found["object"] == "list"
        (entry,) = (each for each in found["data"] if each["id"] == name)
        assert set(entry) == FIELDS
        return dict(entry)


@pytest.fixture
def hand() -> Iterator[Hand]:
    with serving() as served:
        before = served.frontend.models
        yield Hand(served)
        served.frontend.models = before


def error(response: TestResponse, status: int, *words: str) -> dict[str, Any]:
    assert response.status_code == status, response.text
    (body,) = response.get_json().values()
    assert set(body) == {"message", "type", "param", "code"}
    assert [word for word in words if word not in body["message"]] == []
    return dict(body)


@pytest.mark.parametrize("name", ["big", "huge"])
@pytest.mark.parametrize(("path", "kind"), [("/models/load", Load), ("/models/unload", Unload)])
def test_an_administrators_order_reaches_the_supervisor(
    hand: Hand, path: str, kind: type[Load | Unload], name: str
) -> None:
    response = hand.post(path, {"model": name})
    assert (response.status_code, response.get_json()) == (200, {"success": True})
    assert hand.supervisor.sent == [kind(1, "big")]


@pytest.mark.parametrize("claim", ["false", "1", "True", "", "true, true"])
@pytest.mark.parametrize("path", ["/models/load", "/models/unload"])
def test_nobody_else_gives_orders(hand: Hand, path: str, claim: str) -> None:
    refused = hand.post(path, {"model": "big"}, X_Rowcast_Admin=claim)
    assert error(refused, 403, '"admin": true', "--admin")["type"] == "permission_error"
    assert error(hand.post(path, {"model": "none"}, X_Rowcast_Admin=claim), 403)
    assert hand.supervisor.sent == []


def test_without_a_secret_orders_come_from_this_machine() -> None:
    with serving(settings={"proxy_secret": None}) as served:
        hand = Hand(served)
        assert hand.post("/models/load", {"model": "big"}).status_code == 200
        for name in ("X_Rowcast_Proxy", "X_Forwarded_For", "Forwarded"):
            refused = hand.post("/models/load", {"model": "big"}, **{name: "1"})
            assert error(refused, 403, "on the server's own machine", "PROXY_SECRET")
        elsewhere = served.client.post(
            "/models/load", json={"model": "big"}, environ_base={"REMOTE_ADDR": "192.0.2.7"}
        )
        assert error(elsewhere, 403)
        assert len(hand.supervisor.sent) == 1


def test_the_error_for_an_unknown_model_lists_the_others(hand: Hand) -> None:
    refused = hand.post("/models/load", {"model": "bigger"})
    found = error(refused, 404, "'bigger'", "big", "scripted", "huge")
    assert (found["code"], found["param"]) == ("model_not_found", "model")


@pytest.mark.parametrize(
    ("body", "word"),
    [
        ({}, "model is missing"),
        ({"model": 7}, "model"),
        ({"model": None}, "model"),
        ({"model": "big", "force": True}, "force is not a known argument"),
        ([], "object"),
    ],
)
def test_a_wrong_body_says_what_to_change(hand: Hand, body: object, word: str) -> None:
    assert error(hand.post("/models/unload", body), 400, word)
    assert hand.supervisor.sent == []


def test_an_order_that_the_supervisor_refuses_is_an_error(hand: Hand) -> None:
    hand.supervisor.problem = "it needs 4 GB, and MODELS_MEMORY is 1 GB"
    assert error(hand.post("/models/load", {"model": "big"}), 400, "MODELS_MEMORY is 1 GB")
    assert hand.post("/models/unload", {"model": "big"}).status_code == 200  # it is unloaded


def test_a_load_that_has_failed_is_not_tried_again_at_once(hand: Hand) -> None:
    hand.show(state("failed", reason="no tokenizer", retry_seconds=29.5))
    hand.supervisor.problem = "its last load failed"
    refused = hand.post("/models/load", {"model": "big"})
    assert error(refused, 503, "cannot be loaded: no tokenizer")["code"] == "not_ready"
    assert refused.headers["Retry-After"] == "30"


def test_a_silent_supervisor_is_an_error(hand: Hand, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(claims, "HAND_SECONDS", 0.05)
    hand.supervisor.problem = None
    assert error(hand.post("/models/load", {"model": "big"}), 503, "does not respond")


def test_a_backend_that_was_started_by_hand_is_not_stopped(hand: Hand) -> None:
    hand.supervisor.problem = "the server's backend was started by hand"
    assert hand.post("/models/load", {"model": "scripted"}).status_code == 200
    assert error(hand.post("/models/unload", {"model": "scripted"}), 400, "by hand")


def test_other_methods_are_refused(hand: Hand) -> None:
    client = hand.served.client
    refused = client.put("/models/load", buffered=True)
    assert error(refused, 405, "send GET or POST")
    assert {*refused.headers["Allow"].split(", ")} >= {"GET", "HEAD", "POST"}
    assert error(client.get("/models/load", buffered=True), 404, "'load'")  # it may be a model


def state(value: Any, **more: Any) -> BuildState:
    return BuildState(build=STATE.build, state=value, url="", current=True, **more)


def test_the_list_describes_each_model(hand: Hand) -> None:
    entry = hand.listed()
    assert entry | {"created": 0} == {
        "id": "big",
        "object": "model",
        "created": 0,
        "owned_by": "rowcast",
        "permission": [],
        "root": "big",
        "max_model_len": None,
        "dimensions": None,
        "pooling": None,
        "fingerprint": None,
        "status": {"value": "unloaded"},
        "state": "unloaded",
        "aliases": ["huge"],
        "bytes": None,
        "load": "lazy",
        "idle_seconds": 0.0,
        "keep": False,
        "loads": 0,
        "load_seconds": 0.0,
        "others": [],
    }
    ready = hand.listed("scripted")
    assert (ready["state"], ready["status"]) == ("ready", {"value": "loaded"})
    assert (ready["aliases"], ready["fingerprint"]) == (["falcon40b"], "scripted-1")
    one = hand.served.client.get("/models/huge", buffered=True).get_json()
    assert (one["id"], one["root"], one["aliases"]) == ("huge", "big", ["big"])


@pytest.mark.parametrize(
    ("known", "status"),
    [
        (state("loading", stage="reading weights"), {"stage": "reading weights"}),
        (state("loading", reason="an old one"), {}),
        (state("ready"), {"value": "loaded"}),
        (state("draining"), {"value": "loaded"}),
        (
            state("failed", reason="no memory", retry_seconds=4.2),
            {"value": "unloaded", "failed": True, "reason": "no memory", "retry_seconds": 5},
        ),
    ],
)
def test_states_have_the_words_of_other_servers(
    hand: Hand, known: BuildState, status: dict[str, Any]
) -> None:
    hand.show(known)
    entry = hand.listed()
    assert (entry["state"], entry["status"]) == (known.state, {"value": "loading"} | status)


def test_an_unloaded_model_shows_its_last_load(hand: Hand) -> None:
    more = {"needs": 5 << 20, "fingerprint": "f1", "context_length": 64, "loads": 2}
    hand.show(state("unloaded", load_seconds=1.5, **more))
    entry = hand.listed()
    assert (entry["bytes"], entry["fingerprint"], entry["max_model_len"]) == (5 << 20, "f1", 64)
    assert (entry["loads"], entry["load_seconds"]) == (2, 1.5)


def test_other_builds_of_a_name_are_listed_with_it(hand: Hand) -> None:
    def other(number: int, value: Any, **more: Any) -> BuildState:
        build = Build(id=f"big-{number}", name="big", variables={})
        return BuildState(build=build, state=value, url="", current=False, **more)

    old = other(2, "draining", needs=7, fingerprint="old")
    hand.show(state("ready"), old, other(3, "unloaded"), other(4, "failed", reason="no /a/b"))
    assert hand.listed()["others"] == [
        {
            "state": "draining",
            "fingerprint": "old",
            "bytes": 7,
            "status": {"value": "loaded"},
        },
        {
            "state": "failed",
            "fingerprint": None,
            "bytes": None,
            "status": {"value": "unloaded", "failed": True, "reason": "no …/b"},
        },
    ]
    assert hand.listed("scripted")["others"] == []


def test_only_administrators_read_the_paths_of_this_machine(hand: Hand) -> None:
    reason = "there is no '/srv/models/big/config.json'; see ~/x/log"
    hand.show(state("failed", reason=reason, retry_seconds=9))
    assert hand.listed(**ADMIN)["status"]["reason"] == reason
    assert hand.listed()["status"]["reason"] == "there is no '…/config.json'; see …/log"


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("/a/b/c.json is missing", "…/c.json is missing"),
        ("in /a/b/: no", "in …/b: no"),
        ('MODEL="/a/b" (../c/d)', 'MODEL="…/b" (…/d)'),
        ("facebook/opt-125m at 5 tokens/s, 3 / 4", "facebook/opt-125m at 5 tokens/s, 3 / 4"),
    ],
)
def test_a_path_keeps_its_last_part(text: str, shown: str) -> None:
    assert without_paths(text) == shown
