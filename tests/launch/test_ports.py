"""A port that is in use ends the server before a model is loaded: `gunicorn.conf.py`.

The same for `make serve` is in tests/house/test_serve.py.
"""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import closing

import pytest

from contract.asking import serves
from processes import MOCK_APP, ROOT, SERVER, free_port, running

pytestmark = pytest.mark.slow

DIRECTLY = (sys.executable, "inference-api/inference_api_server.py")
COMMANDS = {"gunicorn": (*SERVER, MOCK_APP), "directly": DIRECTLY}


@pytest.fixture
def taken() -> Iterator[socket.socket]:
    """A loopback port with a listener on it."""
    with closing(socket.create_server(("127.0.0.1", 0))) as listener:
        yield listener


def port_of(listener: socket.socket) -> int:
    return int(listener.getsockname()[1])


@pytest.mark.parametrize("how", COMMANDS)
@pytest.mark.parametrize("host", ["127.0.0.1", "0.0.0.0"])
def test_a_port_in_use_is_noticed_before_a_model_is_loaded(
    taken: socket.socket, how: str, host: str
) -> None:
    port = port_of(taken)
    ended = subprocess.run(
        COMMANDS[how],
        cwd=ROOT,
        env=os.environ | {"MODEL": "scripted", "HOST": host, "PORT": str(port)},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    (said,) = [line for line in ended.stderr.splitlines() if line.startswith("rowcast: ")]
    assert f"port {port} on {host} is in use" in said
    assert f"PORT={port + 1}" in said
    assert "Traceback" not in ended.stderr
    assert "rowcast.launch" not in ended.stderr, "no launcher was started"


def test_an_address_of_another_machine_is_refused_at_once() -> None:
    ended = subprocess.run(
        DIRECTLY,
        cwd=ROOT,
        env=os.environ | {"MODEL": "scripted", "HOST": "192.0.2.1", "PORT": str(free_port())},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert ended.returncode == 2, ended.stderr
    assert "on 192.0.2.1 is not available" in ended.stderr
    assert "waiting" not in ended.stderr


def test_a_port_that_becomes_free_is_taken(
    taken: socket.socket, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As after a server that was killed, whose workers end a moment later."""
    port, log = port_of(taken), tmp_path_factory.mktemp("waiting") / "log"

    def free() -> None:
        for _ in range(600):
            if log.exists() and "is in use; waiting" in log.read_text():
                break
            time.sleep(0.05)
        taken.close()

    freeing = threading.Thread(target=free)
    freeing.start()
    with running(COMMANDS["gunicorn"], port, log, env={"PORT": str(port)}) as server:
        assert serves(port)
        assert "is in use; waiting" in server.output()
    freeing.join(30)
