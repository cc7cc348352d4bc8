"""A rest lets those run who wait for a socket, not only those who can run already."""

import subprocess
import sys
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[2] / "inference-api"

PROGRAM = """
from gevent import monkey
monkey.patch_all()
import socket, threading, time
from rowcast.frontend.turns import Turnstile
from rowcast_http.rest import rest

REST = {rest}
ours, theirs = socket.socketpair()
parts, seen = 0, []

def read():
    ours.recv(1)
    seen.append(parts)

reader = threading.Thread(target=read)
reader.start()
rest()  # now it waits for its socket
theirs.send(b"x")
while not seen and parts < 1000:
    parts += 1
    REST()
print(seen[0] if seen else "never")
"""


@pytest.mark.slow
@pytest.mark.parametrize("named", ["rest", "Turnstile().rest"])
def test_a_socket_is_looked_at_between_two_parts(named: str) -> None:
    """The first part may end before the loop has looked; the second may not."""
    program = PROGRAM.format(rest=named)
    run = subprocess.run(
        [sys.executable, "-c", program],
        env={"PYTHONPATH": str(SOURCE)},
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
    )
    assert int(run.stdout) <= 2
