"""Servers started from Python, as real processes: ready, used, stopped, with nothing left behind.

Covers `child_process`, `server_process`, `become_gunicorn`.
"""

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path

import psutil
import pytest
import requests

from processes import ROOT, family, free_port, gone, until
from rowcast import Model, RowcastError, Server
from rowcast.serving.running import RunningServer
from scripted_replies import scripted_reply

SLOW = Model("scripted", step_seconds=0.05).precompile(32, 1024)  # 128 steps before it is ready


@pytest.fixture(scope="module")
def server() -> Iterator[RunningServer]:
    """A running server, which tests leave unchanged."""
    with Server({"rows": Model("scripted", aliases=["alias"])}).start() as running:
        yield running


def test_it_is_ready_at_its_url(server: RunningServer) -> None:
    assert server.ready()
    assert server.url == f"http://127.0.0.1:{server.port}"
    assert requests.get(server.url + "/readiness", timeout=10).status_code == 200


def test_a_completion_is_generated_whole_or_as_a_stream(server: RunningServer) -> None:
    wanted = scripted_reply("Hello", 3, 40).text
    assert server.generate("Hello", seed=3, max_tokens=40) == wanted
    pieces = server.stream("Hello", seed=3, max_tokens=40, model="alias")
    assert "".join(pieces) == wanted


def test_a_stream_that_is_closed_ends_its_reply(server: RunningServer) -> None:
    stream = server.stream("Hello", seed=3, max_tokens=2000, ignore_eos=True)
    next(stream)
    stream.close()  # type: ignore[attr-defined]
    health = requests.get
    until(
        lambda: health(server.url + "/health", timeout=10).json()["rows"]["seated"] == 0,
        "the row is free",
    )


def test_its_client_sends_requests_to_any_route(server: RunningServer) -> None:
    answer = server.client.post("/tokenize", {"model": server.default, "prompt": "Hi"})
    assert answer["count"] == 2


def test_its_models_are_listed(server: RunningServer) -> None:
    assert [each["id"] for each in server.models()] == ["rows"]


@pytest.mark.parametrize(
    ("parameters", "problem"),
    [
        ({"max_tokens": "many"}, "max_tokens is invalid"),
        ({"model": "none"}, "'none' does not exist"),
    ],
)
def test_a_refusal_is_raised_in_the_server_s_words(
    server: RunningServer, parameters: dict[str, str], problem: str
) -> None:
    with pytest.raises(RowcastError, match=problem):
        server.generate("Hello", **parameters)
    with pytest.raises(RowcastError, match=problem):
        next(server.stream("Hello", **parameters))


def test_its_log_is_a_file_until_it_ends(server: RunningServer) -> None:
    assert server.log is not None
    assert "Listening at" in server.log.read_text()


@pytest.mark.slow
@pytest.mark.parametrize("fails", [False, True])
def test_leaving_the_block_leaves_nothing(fails: bool) -> None:
    expected = pytest.raises(ZeroDivisionError) if fails else nullcontext()
    with expected, Server(Model("scripted")).start() as running:
        everyone, folder = family(running.pid), running._folder.path
        assert len(everyone) > 2
        assert folder.exists()
        assert 1 / (not fails)
    assert gone(everyone)
    assert not folder.exists()
    assert not running.ready()
    running.stop()  # once more is no error


def _children() -> set[psutil.Process]:
    """Return this process's own, which fixtures of other tests may have started."""
    return set(psutil.Process().children())


@pytest.mark.slow
def test_a_port_in_use_is_an_error_in_the_server_s_words() -> None:
    before = _children()
    with Server(Model("scripted")).start() as first:
        with pytest.raises(RowcastError, match=rf"port {first.port} on 127\.0\.0\.1 is in use"):
            Server(Model("scripted")).start(first.port)
        assert first.ready()
    assert _children() <= before


@pytest.mark.slow
def test_a_model_that_cannot_be_loaded_is_an_error_in_the_server_s_words(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "tokenizer.json").write_text("{}")
    with pytest.raises(RowcastError, match=r"config\.json|tokenizer|weights|model_type"):
        Server(Model(tmp_path)).start(timeout=60)


@pytest.mark.slow
def test_it_is_not_ready_before_its_models_are_warm() -> None:
    with Server(SLOW).start(wait=False) as running:
        assert not running.ready()
        until(lambda: _status(running) != 0, "it answers")
        assert _status(running) == 503
        assert requests.get(running.url + "/liveness", timeout=10).status_code == 200
        with pytest.raises(RowcastError, match=r"not ready after 0\.2 s"):
            running.wait_ready(timeout=0.2)
        running.wait_ready()
        assert "warm rows=32 tokens=1024" in running.log.read_text() if running.log else False
        assert running.generate("Hello", seed=3, max_tokens=9) == scripted_reply("Hello", 3, 9).text


def _status(running: RunningServer) -> int:
    return running._status()


@pytest.mark.slow
def test_a_server_that_is_not_ready_in_time_is_stopped() -> None:
    before = _children()
    with pytest.raises(RowcastError, match="not ready after"):
        Server(SLOW).start(timeout=0.5)
    assert _children() <= before


@pytest.mark.slow
def test_a_server_outlives_the_thread_that_started_it() -> None:
    started: list[RunningServer] = []
    thread = threading.Thread(target=lambda: started.append(Server(Model("scripted")).start()))
    thread.start()
    thread.join()
    with started[0] as running:
        assert running.generate("Hello", seed=3, max_tokens=9) == scripted_reply("Hello", 3, 9).text


@pytest.mark.slow
def test_a_server_that_ends_by_itself_is_an_error() -> None:
    with Server(Model("scripted")).start() as running:
        os.kill(running.pid, signal.SIGKILL)
        with pytest.raises(RowcastError, match="ended with status -9"):
            running.wait()


@pytest.mark.slow
def test_other_models_can_be_served_without_a_restart() -> None:
    with Server({"a": Model("scripted")}).start() as running:
        running.change({"a": Model("scripted"), "b": Model("scripted", aliases=["c"])})
        until(lambda: len(running.models()) == 2, "the new model is listed")
        assert running.generate("Hello", model="c", seed=3, max_tokens=9)


@pytest.mark.slow
@pytest.mark.parametrize("secret", [None, "a secret that only the proxy knows"])
def test_models_are_loaded_and_unloaded_by_hand(secret: str | None) -> None:
    models = {"a": Model("scripted"), "b": Model("scripted")}
    with Server(models, proxy_secret=secret).start() as running:

        def state() -> str:
            return str(running.models()[1]["status"]["value"])

        assert state() == "unloaded"
        running.load("b")
        until(lambda: state() == "loaded", "it is loaded")
        running.unload("b")
        until(lambda: state() == "unloaded", "it is unloaded")
        with pytest.raises(RowcastError, match="'c' does not exist"):
            running.load("c")


@pytest.mark.slow
def test_its_log_can_go_to_a_file_that_stays(tmp_path: Path) -> None:
    log = tmp_path / "rowcast.log"
    with Server(Model("scripted")).start(log=log) as running:
        assert running.log == log
    assert "Listening at" in log.read_text()


STARTED = """
from rowcast import Model, Server
server = Server(Model("scripted")).start()
print(server.pid, server._folder.path, flush=True)
{then}
"""
FIRED = """
from rowcast import Model, Server
Server(Model("scripted")).fire(port={port}, log={log!r})
print("after", flush=True)
"""


@contextmanager
def script(source: str, path: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a program that imports Rowcast; end it at the end."""
    path.write_text(source)
    with subprocess.Popen(
        [sys.executable, str(path)],
        env=os.environ | {"PYTHONPATH": str(ROOT / "inference-api")},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            if process.poll() is None:
                process.kill()


@pytest.mark.slow
@pytest.mark.parametrize("end", ["returns", "raises", "is killed", "is terminated"])
def test_nothing_outlives_the_program_that_started_it(end: str, tmp_path: Path) -> None:
    then = {"returns": "", "raises": "1 / 0"}.get(end, "import time; time.sleep(600)")
    with script(STARTED.format(then=then), tmp_path / "program.py") as process:
        assert process.stdout is not None
        pid, folder = process.stdout.readline().split()
        everyone = family(int(pid))
        if end in {"is killed", "is terminated"}:
            assert everyone
            process.send_signal(signal.SIGKILL if end == "is killed" else signal.SIGTERM)
        process.wait(timeout=60)
    until(lambda: not family(int(pid)) and gone(everyone), "the server has ended")
    until(lambda: not Path(folder).exists(), "its folder is removed")


@pytest.mark.slow
@pytest.mark.parametrize("interruption", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("log", ["stderr", None])
def test_firing_serves_until_it_is_interrupted(
    interruption: signal.Signals, log: str | None, tmp_path: Path
) -> None:
    port = free_port()
    with script(FIRED.format(port=port, log=log), tmp_path / "program.py") as process:
        assert process.stdout is not None
        lines = [process.stdout.readline()]
        while lines[-1] and "Ctrl-C stops it" not in lines[-1]:
            lines.append(process.stdout.readline())
        assert lines[-1] == f"Rowcast serves scripted at http://127.0.0.1:{port}; Ctrl-C stops it\n"
        everyone = family(process.pid)
        answer = requests.post(
            f"http://127.0.0.1:{port}/",
            json={"text": "Hello", "seed": 3, "max_tokens": 9},
            timeout=20,
        )
        assert answer.text == scripted_reply("Hello", 3, 9).text
        process.send_signal(interruption)
        rest = process.stdout.read()
        assert process.wait(timeout=60) == 0
    assert rest.endswith("Stopped.\nafter\n")
    assert ("Listening at" in "".join(lines)) is (log == "stderr")
    assert gone(everyone)


@pytest.mark.slow
def test_firing_at_a_port_in_use_fails_and_ends(tmp_path: Path) -> None:
    with Server(Model("scripted")).start() as running:
        source = FIRED.format(port=running.port, log="stderr")
        with script(source, tmp_path / "program.py") as process:
            shown, _ = process.communicate(timeout=60)
    assert process.returncode == 1
    assert f"RowcastError: port {running.port} on 127.0.0.1 is in use" in shown
