"""F-07, F-08, V-08, V-14, P-11, P-14 to P-17: commands of other systems, and what is typed here.

`make` only prints a target's commands here, and they run with this Python: an environment is there.
"""

import os
import shlex
import shutil
import subprocess
import sys
import time
from pathlib import Path

import pytest
import requests

from contract.asking import get, post, serves
from contract.conftest import LOADING
from processes import ROOT, free_port, running, typed, until
from recipes import recipe
from scripted_replies import scripted_reply

pytestmark = pytest.mark.slow

PROMPT = {"prompt": "San Francisco is a", "seed": 3, "max_tokens": 7}


def test_f07_f08_a_server_of_incremental_decoding_reloads_changed_code(tmp_path: Path) -> None:
    """The line of docs/coming-from/flexflow.md; it also watches a file that a test may change."""
    code = tmp_path / "code.py"
    code.touch()
    port = free_port()
    line = f"gunicorn --config gunicorn.conf.py --reload --bind 127.0.0.1:{port}"
    with typed(f"{line} --reload-extra-file {code}", port, tmp_path / "log") as server:
        (first,) = server.workers()
        reply = scripted_reply("San Francisco is a", 3, 7).text
        for path in ("/generate", "/generate/"):
            body = PROMPT | {"speculative_decoding": False}
            assert post(port, body, path).json()["response"] == reply
        os.utime(code, (time.time() + 5, time.time() + 5))
        until(lambda: not first.is_running(), "the worker with the old code has ended")
        until(lambda: len(server.workers()) == 1 and server.ready(), "another one serves")
        assert post(port, PROMPT, "/generate/").json()["response"] == reply
        assert server.stop() == 0


def test_v08_p11_p16_make_run_app_serves_on_the_port_that_is_given(tmp_path: Path) -> None:
    port = free_port()
    line = recipe("run-app", f"PORT={port}")
    with typed(line, port, tmp_path / "log", env={"PORT": str(port)}) as server:
        assert serves(port)
        assert get(port, "/").status == 200
        reply = scripted_reply("San Francisco is a", 3, 7).text
        assert post(port, PROMPT, "/generate").json()["text"] == [f"San Francisco is a{reply}"]
        assert server.stop() == 0


def test_v14_the_server_takes_model_host_and_port_as_flags(tmp_path: Path) -> None:
    port = free_port()
    flags = f"--model scripted --model-name facebook/opt-125m --host localhost --port {port}"
    line = f"python inference-api/inference_api_server.py {flags}"
    with typed(line, port, tmp_path / "log", env={"MODEL": "/no/such/model"}) as server:
        listed = requests.get(f"http://localhost:{port}/v1/models", timeout=20).json()["data"]
        assert listed[0]["id"] == "facebook/opt-125m"
        body = PROMPT | {"model": "facebook/opt-125m", "temperature": 0}
        answer = post(port, body, "/v1/completions").json()
        assert answer["choices"][0]["text"] == scripted_reply("San Francisco is a", 3, 7).text
        assert server.stop() == 0


@pytest.mark.parametrize(
    ("flags", "sentence"),
    [
        ("--port 80000", "PORT: has to be a whole number from 1 to 65535"),
        ("--prot 8000", "unrecognized arguments: --prot 8000"),
    ],
)
def test_v14_a_wrong_flag_is_one_sentence(flags: str, sentence: str) -> None:
    command = [sys.executable, "inference-api/inference_api_server.py", *flags.split()]
    done = subprocess.run(
        command, check=False, cwd=ROOT, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 2
    assert sentence in done.stderr
    assert "Traceback" not in done.stderr


def test_p14_make_convert_packs_a_model_that_is_served_without_its_weights(tmp_path: Path) -> None:
    model, root = tmp_path / "mine", tmp_path / "root"
    shutil.copytree(ROOT / "models" / "draft", model)
    command = recipe("convert", f"MODEL={model}", f"MODEL_ROOT={root}")
    done = subprocess.run(
        ["bash", "-euc", command],
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    (model / "model.safetensors").unlink()
    served = shlex.split(done.stdout.splitlines()[-1])
    assert served[-2:] == ["make", "run-app"]
    env = dict(word.split("=", 1) for word in served[:-2]) | {"JOURNAL": "off"}
    port = free_port()
    with running(
        ("bash", "-c", f"exec {recipe('run-app')}"),
        port,
        tmp_path / "log",
        env=env | {"PORT": str(port)},
        patience=LOADING,
    ) as server:
        body = {"prompt": "Once upon a time", "max_tokens": 12, "seed": 3}
        assert len(post(port, body, "/generate").json()["response"]) > 12
        assert server.stop() == 0


def test_p15_make_run_worker_starts_a_backend_at_a_socket(tmp_path: Path) -> None:
    socket = tmp_path / "b.sock"
    line = recipe("run-worker", f"ARGS=--backend-socket {socket}")
    env = os.environ | {"MODEL": "scripted"}
    with subprocess.Popen(
        ["bash", "-c", f"exec {line}"], cwd=ROOT, env=env, stderr=subprocess.DEVNULL
    ) as worker:
        try:
            until(socket.exists, "its socket")
        finally:
            worker.terminate()
        assert worker.wait(timeout=30) == 0


def test_p17_make_run_tests_runs_the_tests_that_are_named() -> None:
    line = recipe("run-tests", "JOBS=0", "ARGS=tests/test_decoding.py -p no:cacheprovider")
    done = subprocess.run(
        ["bash", "-c", line], check=False, cwd=ROOT, capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stdout
    assert "100%" in done.stdout or "passed" in done.stdout
