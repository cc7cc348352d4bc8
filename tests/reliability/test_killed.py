"""kill -9 of each process in turn: everything else continues, and nothing is left behind."""

import signal
from pathlib import Path

import psutil
import pytest

from engine.rule import vector
from processes import Running, family, gone, kill, until
from raw_http import Client, request_bytes
from reliability.conftest import Start
from reliability.streams import OpenStream, begin, begin_several, finish_all, works
from rowcast.launch.exit_status import BROKEN
from scripted_replies import long_reply

pytestmark = pytest.mark.slow

STEP = 0.01


def _worker_of(stream: OpenStream, server: Running) -> int:
    """Return the id of the worker that holds this stream's connection."""
    port = stream.client.socket.getsockname()[1]
    for worker in server.workers():
        if any(link.raddr and link.raddr.port == port for link in worker.net_connections()):
            return worker.pid
    raise AssertionError("no worker holds the stream")


def _begin_on_both_workers(server: Running, tokens: int) -> dict[int, list[OpenStream]]:
    held: dict[int, list[OpenStream]] = {}
    for number in range(30):
        stream = begin(server.port, f"number {number}", tokens)
        held.setdefault(_worker_of(stream, server), []).append(stream)
        if len(held) == 2 and number >= 4:
            return held
    raise AssertionError("one worker took all 30 streams")


def test_a_killed_worker_frees_its_rows_and_leaves_the_others_streams_alone(start: Start) -> None:
    server = start(WORKERS=2, STEP_SECONDS=STEP)
    until(lambda: len(server.workers()) == 2, "two workers")
    (killed, lost), (_, kept) = _begin_on_both_workers(server, 400).items()
    until(lambda: server.rows_seated() == len(lost) + len(kept), "all streams are seated")
    psutil.Process(killed).kill()
    assert all(stream.is_cut() for stream in lost)
    until(lambda: server.rows_seated() <= len(kept), "the rows of the killed worker are free")
    assert server.rows_seated() > 0, "the other streams ended too early for this to show anything"
    finish_all(kept)
    until(lambda: server.rows_seated() == 0, "all rows are free")
    until(lambda: len(server.workers()) == 2, "the worker is replaced")


def test_streams_survive_a_killed_backend_byte_for_byte(start: Start) -> None:
    server = start(STEP_SECONDS=STEP)
    streams = begin_several(server.port, 5, 150)
    for _ in range(2):
        backend = server.backend()
        backend.kill()
        until(lambda killed=backend: gone([killed]), "the backend has ended")  # type: ignore[misc]
        streams[0].client.read_body(len(streams[0].client.so_far().body) + 1)
    finish_all(streams)
    assert works(server.port)


def test_embeddings_survive_killed_backends_bit_for_bit(start: Start) -> None:
    """Half of the groups are read, and the rest are in rows, when each backend ends."""
    server = start(STEP_SECONDS=STEP)
    texts = [f"text {at} " * 60 for at in range(200)]
    body = {"model": "scripted", "input": texts, "dimensions": 3, "normalize": False}
    with Client(server.port) as client:
        client.send(request_bytes("/v1/embeddings", body))
        for _ in range(2):
            until(lambda: server.rows_seated() > 0, "prompts are seated")
            server.backend().kill()
        answer = client.finish()
    assert answer.status == 200, answer.text
    found = [each["embedding"] for each in answer.json()["data"]]
    assert found == [vector(text.encode(), "last")[:3] for text in texts]
    assert works(server.port)


LONG = {"seed": long_reply("Hello", 300, at_least=300), "max_tokens": 300}
CHOICES = {"model": "scripted", "prompt": "Hello", "stream": True, "n": 3, "ignore_eos": True}


@pytest.mark.parametrize(
    ("path", "body"),
    [("/chat/scripted", LONG | {"text": "Hello"}), ("/v1/completions", LONG | CHOICES)],
)
def test_a_comment_tells_of_the_pause(start: Start, path: str, body: dict[str, object]) -> None:
    server = start(STEP_SECONDS=STEP)
    with Client(server.port) as client:
        client.send(request_bytes(path, body)).read_body()
        server.backend().kill()
        answer = client.finish()
    assert answer.whole
    assert "\n\n: waiting\n" in answer.text
    assert ": waiting\n\n" not in answer.text
    assert "error" not in answer.text


def test_streams_survive_a_killed_launcher_byte_for_byte(start: Start, leftovers: Path) -> None:
    server = start(STEP_SECONDS=STEP)
    streams = begin_several(server.port, 3, 150)
    launcher, backend = server.launcher(), server.backend()
    launcher.kill()
    until(lambda: gone([launcher, backend]), "the launcher and its backend have ended")
    finish_all(streams)
    assert works(server.port)
    assert server.stop() == 0
    assert not list(leftovers.iterdir())


def test_streams_survive_a_killed_supervisor_byte_for_byte(start: Start, leftovers: Path) -> None:
    server = start(STEP_SECONDS=STEP)
    streams = begin_several(server.port, 3, 150)
    killed = [server.supervisor(), server.launcher(), server.backend()]
    killed[0].kill()
    until(lambda: gone(killed), "the supervisor, its launcher and its backend have ended")
    finish_all(streams)
    assert works(server.port)
    assert server.stop() == 0
    assert not list(leftovers.iterdir())


def test_a_killed_master_takes_everything_along(start: Start, leftovers: Path) -> None:
    server = start(WORKERS=2, STEP_SECONDS=STEP)
    until(lambda: len(server.workers()) == 2, "two workers")
    stream = begin(server.port, "on its own", 1500)
    everyone = family(server.process.pid)
    assert len(everyone) == 6  # master, two workers, supervisor, launcher, backend
    server.process.kill()
    server.process.wait()
    assert stream.is_cut()
    until(lambda: gone(everyone), "everyone has ended")
    until(lambda: not list(leftovers.iterdir()), "the socket's folder is removed")


def test_a_server_that_starts_removes_what_killed_ones_left(start: Start, leftovers: Path) -> None:
    lives, killed = start(), start()
    foreign = leftovers / "rowcast-of-another-program"
    foreign.mkdir()
    everyone = family(killed.process.pid)
    kill(everyone)
    killed.process.wait()
    until(lambda: gone(everyone), "everyone has ended")
    left = set(leftovers.iterdir())
    successor = start()
    (removed,) = left - set(leftovers.iterdir())
    assert removed != foreign
    assert works(lives.port)
    for server in (lives, successor):
        assert server.stop() == 0
    assert list(leftovers.iterdir()) == [foreign]


def link_of(descriptor: Path) -> str:
    """Return what a process's descriptor is of; "" if it was closed meanwhile."""
    try:
        return str(descriptor.readlink())
    except FileNotFoundError:
        return ""


def test_nothing_of_a_server_has_a_name_in_shared_memory(start: Start) -> None:
    server = start()
    links = [
        link_of(entry)
        for process in family(server.process.pid)
        for entry in Path(f"/proc/{process.pid}/fd").iterdir()
    ]
    opened = [link for link in links if link.startswith("/dev/shm")]
    assert all(link.endswith("(deleted)") for link in opened)


@pytest.mark.parametrize("how", [signal.SIGTERM, signal.SIGINT])
def test_a_backend_that_is_told_to_end_is_replaced(start: Start, how: signal.Signals) -> None:
    server = start(STEP_SECONDS=STEP)
    stream = begin(server.port, "on its own", 100)
    backend = server.backend()
    backend.send_signal(how)
    stream.finish()
    until(lambda: gone([backend]), "the backend has ended")
    until(server.ready, "another backend serves")
    assert works(server.port)


def test_streams_survive_a_backend_that_hangs_byte_for_byte(start: Start) -> None:
    server = start(STEP_SECONDS=STEP, STALL_SECONDS=1)
    streams = begin_several(server.port, 5, 150)
    hung = server.backend()
    hung.suspend()
    until(lambda: gone([hung]), "the backend has been killed")
    finish_all(streams)
    assert works(server.port)


def test_a_server_that_may_give_up_says_so_with_its_status(start: Start) -> None:
    server = start(RESTART_LIMIT=1)
    server.backend().kill()
    assert server.process.wait(30) == BROKEN
    assert "giving up" in server.output()
