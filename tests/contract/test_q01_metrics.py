"""Metrics as operators see them: real processes, kills, the board and the alert rules."""

import importlib
import json
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import requests

from contract.conftest import JWT_SECRET, PROXY_SECRET, encoded
from contract.promql import names_in
from exposed import OPEN_METRICS, Samples, read_open, samples
from processes import ROOT, Running, running_proxy, running_server, until

pytestmark = pytest.mark.slow

SECRETS = {"JWT_SECRET": JWT_SECRET, "PROXY_SECRET": PROXY_SECRET}
DEPLOY = ROOT / "deploy"
BOARD = json.loads((DEPLOY / "grafana" / "rowcast.json").read_text())
RULES: dict[str, Any] = importlib.import_module("yaml").safe_load(
    (DEPLOY / "alerts.yml").read_text()
)


@dataclass(frozen=True)
class House:
    """A server of two workers, its proxy, and tokens."""

    server: Running
    proxy: Running
    user: dict[str, str]
    scraper: dict[str, str]

    def metrics(self) -> Samples:
        """Return what a program on the server's machine reads."""
        answer = requests.get(f"{self.server.url}/metrics", timeout=10)
        assert answer.status_code == 200
        return samples(answer.text)

    def metrics_once(self, key: tuple[str, ...], more: int, before: Samples) -> Samples:
        """Return the metrics once so many more are counted: the client is not told of that."""
        until(
            lambda: self.metrics().get(key, 0) >= before.get(key, 0) + more,
            f"{more} more of {key}",
        )
        found = self.metrics()
        assert found[key] == before.get(key, 0) + more
        return found

    def complete(self, tokens: int, **more: object) -> requests.Response:
        basis = {"model": "scripted", "prompt": "Hello", "max_tokens": tokens}
        body = {**basis, "ignore_eos": True, **more}
        url = f"{self.proxy.url}/v1/completions"
        return requests.post(url, json=body, headers=self.user, timeout=30, stream=True)

    def of_model(self, name: str) -> float:
        return self.metrics()[name, "scripted"]


@pytest.fixture(scope="module")
def house(tmp_path_factory: pytest.TempPathFactory) -> Iterator[House]:
    folder = tmp_path_factory.mktemp("house")
    server_env = SECRETS | {
        "WORKERS": "2",
        "STEP_SECONDS": "0.01",
        "JOURNAL": str(folder / "journal.db"),
    }
    user = encoded('{"team_id": "blue", "token_id": "t-1"}')
    scraper = encoded('{"team_id": "ops", "metrics": true}')
    with (
        running_server(folder, env=server_env) as server,
        running_proxy(folder, server, env=SECRETS) as proxy,
    ):
        tokens = ({"Authorization": f"Bearer {each}"} for each in (user, scraper))
        yield House(server, proxy, *tokens)


def read_some(stream: requests.Response, lines: int) -> Iterator[bytes]:
    """Read some lines of a stream; return it, to read the rest."""
    arrived = stream.iter_lines()
    for _ in range(lines):
        next(arrived)
    return arrived


def test_q01_every_worker_answers_for_all(house: House) -> None:
    before = house.metrics()
    for _ in range(6):
        assert house.complete(5).json()["usage"]["completion_tokens"] == 5
    seen = [house.metrics() for _ in range(4)]  # by either worker
    for name, more in (
        ("vllm:generation_tokens_total", 30),
        ("vllm:prompt_tokens_total", 30),
        ("vllm:time_to_first_token_seconds_count", 6),
        ("vllm:e2e_request_latency_seconds_count", 6),
        ("vllm:inter_token_latency_seconds_count", 24),
    ):
        key = (name, "scripted")
        assert [each[key] - before[key] for each in seen] == [more] * 4
    team = ("rowcast_team_reply_tokens_total", "blue")
    assert seen[-1][team] - before.get(team, 0) == 30
    assert seen[-1]["vllm:request_success_total", "length", "scripted"] >= 6


def test_q01_a_killed_worker_takes_no_count_with_it(house: House) -> None:
    streams = [house.complete(2000, stream=True) for _ in range(8)]
    readers = [read_some(each, 40) for each in streams]  # a reader that is dropped hangs up
    until(lambda: house.of_model("vllm:num_requests_running") == 8, "all are seated")
    pids = {each.pid for each in house.server.workers()}
    before = house.metrics()
    for each in house.server.workers():
        each.kill()
    until(
        lambda: len({w.pid for w in house.server.workers()} - pids) == 2 and house.server.ready(),
        "two new workers",
    )
    after = house.metrics()
    fallen = [
        key for key, value in after.items()
        if key[0].endswith(("_total", "_count", "_bucket")) and value < before.get(key, 0)
        and not key[0].startswith(("rowcast_steps", "rowcast_prefix", "vllm:prefix"))
    ]  # fmt: skip
    assert fallen == []
    assert after["rowcast_reply_tokens_total", "scripted"] >= len(readers) * 20
    starts = ("rowcast_worker_starts_total",)
    until(lambda: house.metrics()[starts] == before[starts] + 2, "both have counted their starts")
    until(lambda: house.metrics()["rowcast_workers",] == 2, "two workers, not four")
    until(lambda: house.of_model("vllm:num_requests_running") == 0, "their rows are free")


def test_q01_a_killed_decoder_is_counted_and_no_token_twice(house: House) -> None:
    before = house.metrics()
    streams = [house.complete(300, stream=True) for _ in range(4)]
    readers = [read_some(each, 20) for each in streams]
    house.server.backend().kill()
    for each in readers:
        assert list(each)[-2] == b"data: [DONE]"
    after = house.metrics_once(("rowcast_replies_total", "scripted", "length"), 4, before)

    def more(*key: str) -> float:
        return after[key] - before.get(key, 0)

    assert more("rowcast_reply_tokens_total", "scripted") == 4 * 300
    assert more("rowcast_prompt_tokens_total", "scripted") == 4 * 5
    assert more("rowcast_replies_recovered_total", "scripted") == 4
    assert more("rowcast_decoder_ends_total", "scripted") == 1
    assert more("rowcast_recovery_seconds_count", "scripted") >= 1


def test_q01_a_refused_request_and_a_resumed_stream_are_counted(house: House) -> None:
    before = house.metrics()
    assert house.complete(-1).status_code == 400
    first = house.complete(5, stream=True)
    assert first.text.endswith("data: [DONE]\n\n")
    url = f"{house.proxy.url}/v1/streams/{first.headers['X-Stream-ID']}"
    again = requests.get(url, headers=house.user, timeout=30)
    assert again.text.endswith("data: [DONE]\n\n")
    last = ("rowcast_replies_replayed_total", "scripted")
    after = house.metrics_once(last, 1, before)
    for key in (
        ("rowcast_refusals_total", "invalid_field"),
        ("rowcast_replies_resumed_total", "scripted"),
    ):
        assert after[key] - before.get(key, 0) == 1, key


def test_q01_scrapers_come_through_the_proxy_with_a_claim_alone(house: House) -> None:
    for path in ("/metrics", "/metrics/proxy"):
        url = f"{house.proxy.url}{path}"
        assert requests.get(url, timeout=10).status_code == 401
        assert requests.get(url, headers=house.user, timeout=10).status_code == 403
        answer = requests.get(url, headers=house.scraper | OPEN_METRICS, timeout=10)
        assert read_open(answer.text)
    forged = {"X-Rowcast-Scraper": "true", "X-Forwarded-For": "127.0.0.1"}
    assert (
        requests.get(f"{house.server.url}/metrics", headers=forged, timeout=10).status_code == 403
    )


def test_q01_all_that_board_and_rules_read_is_served(house: House) -> None:
    house.complete(3).json()
    served = set(map(next, map(iter, house.metrics())))
    proxy = requests.get(f"{house.proxy.url}/metrics/proxy", headers=house.scraper, timeout=10)
    served |= {name for name, *_ in samples(proxy.text)}
    read = {name for each in expressions() for name in names_in(each)}
    assert read - served == set()
    assert len(read) > 40


def expressions() -> list[str]:
    """Return every expression of the board and of the rules."""
    board = [each["expr"] for panel in BOARD["panels"] for each in panel.get("targets", ())]
    lists = [each["query"] for each in BOARD["templating"]["list"] if each["type"] == "query"]
    queried = [re.sub(r"label_values\((.*), \w+\)", r"\1", each) for each in lists]
    return [*board, *queried, *(rule["expr"] for rule in rules())]


def rules() -> list[dict[str, Any]]:
    return [rule for group in RULES["groups"] for rule in group["rules"]]


def test_q01_rules_say_what_is_wrong_and_what_to_do() -> None:
    names = [each["alert"] for each in rules()]
    assert len(set(names)) == len(names) > 10
    for each in rules():
        assert set(each) <= {"alert", "expr", "for", "labels", "annotations"}
        assert set(each["annotations"]) == {"summary", "description"}
        assert each["labels"]["severity"] in {"warning", "critical"}


def test_q01_panels_have_titles_units_and_places_of_their_own() -> None:
    panels = [each for each in BOARD["panels"] if each["type"] != "row"]
    places = [(each["gridPos"]["x"], each["gridPos"]["y"]) for each in panels]
    assert len(set(places)) == len(places) > 20
    assert all(each["title"] and each["fieldConfig"]["defaults"]["unit"] for each in panels)


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed")
def test_q01_promtool_accepts_configuration_and_rules(tmp_path: Path) -> None:
    folder = tmp_path / "deploy"
    shutil.copytree(DEPLOY, folder)
    (folder / "rowcast.token").touch()  # the configuration names it; each installation has its own
    for command in (("check", "rules", "alerts.yml"), ("check", "config", "prometheus.yml")):
        subprocess.run(["promtool", *command], cwd=folder, check=True, timeout=60)


@pytest.mark.parametrize(
    ("expression", "names"),
    [
        ('sum by (a, b) (rate(x_total{c="d_total{"}[5m])) > 2 * y', {"x_total", "y"}),
        ("histogram_quantile(0.9, sum(rate(vllm:z_bucket[1m])))", {"vllm:z_bucket"}),
        ("a unless on (instance) b == 1 or max(c) offset 5m", {"a", "b", "c"}),
        ("topk(10, sum(rate(d[$__rate_interval]))) / 1e3", {"d"}),
    ],
)
def test_names_are_found_in_expressions(expression: str, names: set[str]) -> None:
    assert names_in(expression) - {"m"} == names


@pytest.mark.parametrize("expression", ["sum(a", "a)", "rate(a[5m)]", "a{b"])
def test_an_unbalanced_expression_is_an_error(expression: str) -> None:
    with pytest.raises(ValueError, match=r"closes nothing|is not closed"):
        names_in(expression)
