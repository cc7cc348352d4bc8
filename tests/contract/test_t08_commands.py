"""T-08 to T-18: every promised command line, typed as promised, starts the right thing.

Covers `inference_api_server`, `_mock_inference_api_server`.
"""

import os
import subprocess
import sys
from pathlib import Path

import psutil
import pytest

from contract.asking import get, post, serves
from contract.conftest import JWT_SECRET, Stack, encoded
from processes import ROOT, Running, free_port, typed

pytestmark = pytest.mark.slow

INSIDE = ROOT / "inference-api"


def _starts(command: str, tmp_path: Path, cwd: Path = ROOT, **env: str) -> None:
    """Check that the command serves the native dialect until SIGTERM, and ends with status 0."""
    port = free_port()
    log = tmp_path / "server.log"
    with typed(command, port, log, env={"PORT": str(port), **env}, cwd=cwd) as server:
        assert serves(port)
        assert server.stop() == 0


PLACES = ("tests", "inference-api")


def _run_test_file(name: str, place: str) -> str:
    """Run a test file as a plain program; return its output if it passes."""
    ran = subprocess.run(
        [sys.executable, f"{place}/{name}"],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def test_t08_the_server_runs_directly(tmp_path: Path) -> None:
    _starts("python inference-api/inference_api_server.py", tmp_path)


def _proxy_starts(command: str, cwd: Path, upstream: Running, log: Path) -> None:
    port = free_port()
    env = {"JWT_SECRET": "test-secret-123", "PROXY_PORT": str(port), "UPSTREAM_URL": upstream.url}
    with typed(command, port, log, env=env, cwd=cwd) as proxy:
        token = encoded('{"team_id": "tenstorrent"}', "test-secret-123")
        body = {"text": "Hello", "max_tokens": 3}
        assert post(port, body).status == 401
        assert post(port, body, Authorization=f"Bearer {token}").status == 200
        assert proxy.stop() == 0


def test_t10_the_proxy_runs_from_the_root(server: Running, tmp_path: Path) -> None:
    _proxy_starts("python proxy/proxy.py", ROOT, server, tmp_path / "log")


def test_t11_the_proxy_runs_inside_its_folder(server: Running, tmp_path: Path) -> None:
    _proxy_starts("python proxy.py", ROOT / "proxy", server, tmp_path / "log")


@pytest.mark.parametrize("place", PLACES)
def test_t12_test_decoding_needs_no_server(place: str) -> None:
    assert "passed" in _run_test_file("test_decoding.py", place)


def _check_api(*arguments: str, place: str = "tests") -> tuple[int, str]:
    """Run `test_inference_api.py` as a plain program; return exit status and output."""
    ran = subprocess.run(
        [sys.executable, f"{place}/test_inference_api.py", *arguments],
        cwd=ROOT,
        check=False,
        capture_output=True,
        text=True,
        timeout=100,
    )
    return ran.returncode, ran.stdout + ran.stderr


@pytest.mark.parametrize("place", PLACES)
def test_t13_test_inference_api_runs_against_a_running_server(
    server: Running, stack: Stack, place: str
) -> None:
    token = stack.authorization.removeprefix("Bearer ")
    for arguments in (("--url", server.url), ("--url", stack.proxy.url, "--token", token)):
        status, output = _check_api(*arguments, place=place)
        assert status == 0, output
        assert output.count("ok  ") > 5


def test_t13_test_inference_api_passes_on_a_real_model(draft: Running) -> None:
    status, output = _check_api("--url", draft.url)
    assert status == 0, output


def test_t13_test_inference_api_says_when_a_check_fails(stack: Stack) -> None:
    status, output = _check_api("--url", stack.proxy.url)  # without a token
    assert status == 1
    assert "FAILED" in output


def test_t14_the_mock_server_runs_directly(tmp_path: Path) -> None:
    command = "python inference-api/_mock_inference_api_server.py"
    _starts(command, tmp_path, MODEL_WEKA_DIR=str(tmp_path / "weka"))


def test_t14_the_mock_server_runs_inside_its_folder(tmp_path: Path) -> None:
    _starts("python _mock_inference_api_server.py", tmp_path, cwd=INSIDE)


@pytest.mark.parametrize("place", PLACES)
def test_t15_test_decode_backend_v1_runs_as_a_program(place: str) -> None:
    assert "passed" in _run_test_file("test_decode_backend_v1.py", place)


def test_t15_backend_and_server_run_in_separate_terminals(tmp_path: Path) -> None:
    socket = tmp_path / "b.sock"
    command = [sys.executable, "inference-api/decode_backend.py", "--backend-socket", str(socket)]
    terminal = os.environ | {"MODEL": "scripted"}
    backend = subprocess.Popen(command, cwd=ROOT, env=terminal, stderr=subprocess.DEVNULL)
    try:
        port = free_port()
        env = {"PORT": str(port), "BACKEND_SOCKET": str(socket)}
        command_line = "gunicorn --config gunicorn.conf.py"
        with typed(command_line, port, tmp_path / "server.log", env=env) as server:
            assert serves(port)
            assert not server.named("rowcast.launch"), "no backend of its own is needed"
            assert server.stop() == 0
        assert backend.poll() is None, "the backend belongs to another terminal"
    finally:
        backend.terminate()
    assert backend.wait(timeout=30) == 0
    assert not socket.exists()


def test_t17_gunicorn_runs_the_factory_that_the_configuration_names(tmp_path: Path) -> None:
    text = (ROOT / "gunicorn.conf.py").read_text()
    assert 'wsgi_app = "inference_api_server:create_server()"' in text
    _starts("gunicorn --config gunicorn.conf.py", tmp_path)


def test_t18_gunicorn_runs_the_mock_when_told_on_the_command_line(tmp_path: Path) -> None:
    command = "gunicorn --config gunicorn.conf.py '_mock_inference_api_server:create_test_server()'"
    # A model that does not exist keeps every server except the mock from starting.
    _starts(command, tmp_path, MODEL="/a/model/that/is/not/there")


def test_t35_the_proxy_is_a_process_of_its_own(stack: Stack) -> None:
    assert psutil.Process(stack.proxy.process.pid).ppid() != stack.server.process.pid
    assert get(stack.proxy.port, "/liveness").status == 200
    assert post(stack.proxy.port, {"text": "Hello"}).status == 401
    answer = post(
        stack.proxy.port, {"text": "Hello", "max_tokens": 4}, Authorization=stack.authorization
    )
    assert answer.status == 200
    assert answer.headers["transfer-encoding"] == "chunked"
    assert JWT_SECRET not in stack.proxy.output() + stack.server.output()
