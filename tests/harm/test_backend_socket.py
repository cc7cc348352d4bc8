"""Invalid bytes on a backend's socket end only the sender's own connection (L)."""

import contextlib
import os
import signal
import socket
import struct
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from processes import PATIENCE, ROOT, until
from rowcast.errors import PeerGone
from rowcast.sampling_params import SamplingParams
from rowcast.transport.streams import frame_of
from rowcast.transport.unix_socket import UnixFrontendPort
from rowcast.wire import Cancel, Finished, Rejected, Submit, Tokens, encode
from scripted_replies import long_reply, scripted_reply

pytestmark = pytest.mark.slow

TOKENS = 200
SEED = long_reply("Once", TOKENS, at_least=TOKENS)
WITNESS = Submit("witness", 0, tuple(b"Once"), SamplingParams(max_tokens=TOKENS), SEED)
HI = Submit("peer", 0, tuple(b"Hi"), SamplingParams(max_tokens=3), 1)

FRAMES = {
    "no UTF-8": b"\x91\x93\xa6cancel\xa2\xff\xfe\x00",
    "half of a surrogate pair": b"\x91\x93\xa6cancel\xa3\xed\xa0\x80\x00",
    "nested arrays": b"\x91\x96\xa6submit\xa1s\x00\x91\x01\x82\xaamax_tokens\x01\xa1x"
    + b"\x91" * 500_000,
    "an array longer than its frame": b"\xdd\xff\xff\xff\xff",
    "noise": bytes(range(255, 0, -1)) * 50,
}
VALUES: dict[str, dict[str, Any]] = {
    "a delivered token beyond all": {"delivered": (2**31,)},
    "a delivered token below all": {"delivered": (-1,)},
    "a prompt token beyond all": {"prompt": (2**63,)},
    "a negative choice": {"choice": -1},
    "a negative seed": {"seed": -1},
    "no number": {"params": SamplingParams(max_tokens=3, temperature=float("nan"))},
    "more likeliest tokens than there are": {
        "params": SamplingParams(max_tokens=3, logprobs=True, top_logprobs=2**40)
    },
    "a prompt of a million tokens": {"prompt": (65,) * 1_000_000},
}


@pytest.fixture(scope="module")
def backend(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A backend started by hand; at the end it is still the same process, and exits cleanly."""
    path = str(tmp_path_factory.mktemp("backend") / "b.sock")
    command = [sys.executable, "inference-api/decode_backend.py", "--backend-socket", path]
    env = os.environ | {"MODEL": "scripted", "STEP_SECONDS": "0.005"}
    process = subprocess.Popen(command, cwd=ROOT, env=env)

    def listens() -> bool:
        with contextlib.suppress(PeerGone):
            UnixFrontendPort(path).close()
            return True
        return False

    until(listens, "the backend listens")
    yield path
    assert process.poll() is None, "the backend has ended"
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=PATIENCE) == 0


@contextlib.contextmanager
def witnessed(path: str) -> Iterator[None]:
    """Check that another frontend's reply is complete, whatever happens in the block."""
    port = UnixFrontendPort(path)
    port.send([WITNESS])
    yield
    told: list[int] = []
    while len(told) < TOKENS:
        for event in port.receive():
            assert not isinstance(event, Rejected), event
            if isinstance(event, Tokens):
                told += event.tokens
    assert tuple(told) == scripted_reply("Once", SEED, TOKENS).tokens
    port.close()


@pytest.mark.parametrize("which", FRAMES)
def test_l_a_frame_that_holds_no_commands_ends_its_own_connection(backend: str, which: str) -> None:
    with witnessed(backend), socket.socket(socket.AF_UNIX) as peer:
        peer.settimeout(PATIENCE)
        peer.connect(backend)
        with contextlib.suppress(BrokenPipeError, ConnectionResetError):
            peer.sendall(struct.pack(">I", len(FRAMES[which])) + FRAMES[which])
            while peer.recv(1 << 16):
                pass


@pytest.mark.parametrize("which", VALUES)
def test_l_a_value_out_of_range_is_rejected_alone(backend: str, which: str) -> None:
    wrong = msgspec.structs.replace(HI, session="wrong", **VALUES[which])
    with witnessed(backend), socket.socket(socket.AF_UNIX) as raw:
        raw.connect(backend)
        port = UnixFrontendPort(backend)
        with contextlib.suppress(BrokenPipeError):
            raw.sendall(frame_of(encode([wrong]))[:-1])  # and a frame that never ends
        port.send([wrong, HI, Cancel("nobody", -5)])
        rejected: list[str] = []
        finished: list[str] = []
        while not (rejected and finished):
            for event in port.receive():
                if isinstance(event, Rejected):
                    rejected.append(event.session)
                elif isinstance(event, Finished):
                    finished.append(event.session)
        assert (rejected, finished) == (["wrong"], ["peer"])
        port.close()
