"""The program of `make serve` from start to end, as a user at a terminal sees it.

Covers `serve/cli`, `stack`, `stop_requests`, `child`.
"""

import signal
import socket
import stat
import subprocess
import sys
from itertools import takewhile
from pathlib import Path

import psutil
import pytest
import requests

from house.conftest import JWT_SECRET, PROXY_SECRET, Stack, Start
from processes import ROOT, family, free_port, until

SERVE = (sys.executable, "scripts/serve")


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    """Run a command that ends by itself."""
    return subprocess.run(
        (*SERVE, *arguments),
        check=False,
        cwd=ROOT,
        env={"PATH": "/usr/bin:/bin", **env},
        capture_output=True,
        text=True,
        timeout=60,
    )


def open_stream(stack: Stack, tokens: int) -> requests.Response:
    return requests.post(
        f"{stack.url}/inference/scripted",
        json={"text": "on and on", "max_tokens": tokens, "seed": 11, "stop_sequence": "zzz"},
        headers={"Authorization": f"Bearer {stack.token}"},
        stream=True,
        timeout=60,
    )


@pytest.mark.slow
def test_the_printed_curl_line_streams_as_it_stands(stack: Stack) -> None:
    done = subprocess.run(("bash", "-c", stack.curl), check=False, capture_output=True, timeout=60)
    assert done.returncode == 0, done.stderr
    assert len(done.stdout) > 10


@pytest.mark.slow
def test_the_token_names_who_asked(stack: Stack) -> None:
    with open_stream(stack, 1) as response:
        assert response.status_code == 200
    log = stack.logs / "server.log"
    until(lambda: "team=local token_id=serve" in log.read_text(), "the request's log line")


@pytest.mark.slow
def test_secrets_and_tokens_stay_out_of_logs_and_only_the_token_is_printed(stack: Stack) -> None:
    logs = "".join(each.read_text() for each in stack.logs.iterdir())
    assert "Listening at" in logs
    for secret in (JWT_SECRET, PROXY_SECRET):
        assert secret not in logs
        assert secret not in stack.said()
    assert stack.token not in logs


@pytest.mark.slow
def test_l_only_this_user_may_read_the_logs(stack: Stack) -> None:
    assert stat.S_IMODE(stack.logs.stat().st_mode) == 0o700
    modes = {stat.S_IMODE(each.stat().st_mode) for each in stack.logs.iterdir()}
    assert modes == {0o600}


@pytest.mark.slow
def test_the_server_hears_only_this_machine_and_does_not_know_the_jwt_secret(stack: Stack) -> None:
    parent = stack.running.process.pid
    [head] = [p for p in stack.running.named("gunicorn.conf.py") if p.ppid() == parent]
    assert "JWT_SECRET" not in head.environ()
    listening = {each.laddr for each in head.net_connections() if each.status == "LISTEN"}
    assert listening == {("127.0.0.1", stack.server_port)}


@pytest.mark.slow
@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGHUP])
def test_it_stops_cleanly_and_leaves_nothing(start: Start, how: signal.Signals) -> None:
    with start() as stack:
        assert stack.end(how) == 0
        assert "Stopped." in stack.said()


@pytest.mark.slow
def test_an_open_stream_may_finish(start: Start, stack: Stack) -> None:
    with start() as ending, open_stream(ending, 100) as response:
        pieces = response.iter_content(None)
        first = next(pieces)
        ending.running.process.send_signal(signal.SIGINT)
        reply = first + b"".join(pieces)
        assert ending.running.process.wait(timeout=30) == 0
    with open_stream(stack, 100) as undisturbed:
        assert reply == undisturbed.content


@pytest.mark.slow
def test_asked_twice_it_does_not_wait_for_open_streams(start: Start) -> None:
    with start(STEP_SECONDS="5") as stack, open_stream(stack, 100):
        stack.running.process.send_signal(signal.SIGINT)
        until(lambda: "Stopping" in stack.said(), "the first answer")
        assert stack.running.process.poll() is None
        stack.end()


def end_of_log(said: str, name: str) -> list[str]:
    """Return the lines that are shown as the end of a part's log."""
    _, _, rest = said.partition(f"{name}.log:\n")
    return [line[4:] for line in takewhile(lambda line: line[:4] == "    ", rest.splitlines())]


@pytest.mark.slow
@pytest.mark.parametrize(("name", "word"), [("proxy", "proxy/proxy.py"), ("server", "gunicorn")])
def test_when_one_dies_the_other_is_stopped_and_the_log_is_shown(
    start: Start, name: str, word: str
) -> None:
    with start() as stack:
        everyone = family(stack.running.process.pid)
        parts = [p for p in stack.running.named(word) if p.ppid() == stack.running.process.pid]
        parts[0].kill()
        assert stack.running.process.wait(timeout=30) == 1
        _, alive = psutil.wait_procs(everyone, timeout=30)
        assert not alive
        assert f"The {name} ended by itself (status -9)" in stack.said()
        shown = end_of_log(stack.said(), name)
        log = (stack.logs / f"{name}.log").read_text()
        assert len(shown) >= 3
        assert [line for line in shown if line not in log] == []


@pytest.mark.slow
def test_killed_without_a_word_it_leaves_nothing(start: Start) -> None:
    with start() as stack:
        stack.end(signal.SIGKILL)


@pytest.mark.slow
@pytest.mark.parametrize("variable", ["PORT", "PROXY_PORT"])
def test_a_port_in_use_is_said_before_anything_starts(variable: str, tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ports = {"PORT": str(free_port()), "PROXY_PORT": str(free_port()), variable: str(port)}
        done = run("--logs", str(tmp_path / "logs"), **ports)
    assert done.returncode == 2
    assert f"Port {port} on 127.0.0.1 is in use" in done.stderr
    assert f"{variable}={port + 1}" in done.stderr
    assert not (tmp_path / "logs").exists()


@pytest.mark.slow
def test_a_part_that_refuses_its_settings_is_quoted(tmp_path: Path) -> None:
    ports = {"PORT": str(free_port()), "PROXY_PORT": str(free_port())}
    done = run("--logs", str(tmp_path / "logs"), **ports, WAITING_LINE="many")
    assert done.returncode == 1
    assert "The server ended by itself" in done.stdout
    assert "WAITING_LINE" in done.stdout


@pytest.mark.slow
def test_in_the_foreground_it_logs_to_the_terminal_and_prints_no_token(start: Start) -> None:
    with start("--foreground") as stack:
        assert requests.post(stack.url + "/inference/scripted", timeout=10).status_code == 401
        assert stack.end(signal.SIGTERM) == 0
        assert "Listening at" in stack.said()
        assert "Bearer" not in stack.said()
        assert not stack.logs.exists()


@pytest.mark.slow
def test_in_the_foreground_it_insists_on_a_secret() -> None:
    done = run("--foreground", PORT=str(free_port()), PROXY_PORT=str(free_port()))
    assert done.returncode == 2
    assert "JWT_SECRET is not set" in done.stderr


@pytest.mark.slow
def test_help_fits_a_screen() -> None:
    lines = run("--help").stdout.splitlines()
    assert len(lines) <= 28
    assert all(len(each) <= 100 for each in lines)
