"""The fork server: its launchers are the supervisor's, and nothing depends on its life."""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from engine.rule import reply as expected
from launch.supervised import LAZY, PATIENCE, START, SUPERVISOR, Supervised, reply, supervised
from processes import FORK_SERVER, ROOT, gone, kernel_name, until
from rowcast.models.messages import Hold, Load, Unload

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(sys.platform != "linux", reason="elsewhere there is none"),
]

# As if scripted models needed libraries; `IMPORT` is what importing them does.
PROGRAM = f"""
from rowcast import engines

def import_libraries():
    IMPORT

engines.needs_libraries = lambda settings: True
engines.import_libraries = import_libraries
from rowcast.launch import forks
forks.START_SECONDS = LIMIT
{SUPERVISOR}"""


def program(imports: str = "pass", limit: float = 600.0) -> str:
    return PROGRAM.replace("IMPORT", imports).replace("LIMIT", str(limit))


def fork_servers(supervisor: Supervised) -> list[psutil.Process]:
    children = psutil.Process(supervisor.process.pid).children()
    return [each for each in children if kernel_name(each.pid) == FORK_SERVER and not gone([each])]


def fork_server(supervisor: Supervised) -> psutil.Process:
    until(lambda: len(fork_servers(supervisor)) == 1, "a fork server", PATIENCE)
    return fork_servers(supervisor)[0]


def serves(url: str) -> bool:
    return reply(url, b"Hello", 5) == expected(b"Hello", 1, 5, ignore_eos=True)[0]


def zombies(supervisor: Supervised) -> list[int]:
    children = psutil.Process(supervisor.process.pid).children()
    return [each.pid for each in children if each.status() == psutil.STATUS_ZOMBIE]


@pytest.fixture
def supervisor(tmp_path: Path) -> Iterator[Supervised]:
    """A supervisor with a fork server, one loaded model and one that is loaded when it is held."""
    with supervised(tmp_path, program=program(), first=START, second=LAZY) as made:
        yield made


def test_its_launchers_are_children_of_the_supervisor(supervisor: Supervised) -> None:
    frontend = supervisor.connect()
    assert serves(frontend.await_state("first", "ready").url)
    (launcher,) = supervisor.launchers("first")
    assert launcher.ppid() == supervisor.process.pid
    assert fork_server(supervisor).children() == []
    assert fork_server(supervisor).num_threads() == 1
    launcher.kill()
    until(lambda: supervisor.launchers("first") not in ([], [launcher]), "the next launcher")
    assert serves(supervisor.connect().await_state("first", "ready").url)
    until(lambda: zombies(supervisor) == [], "all that ended is collected")


def test_its_end_ends_no_model_and_the_next_load_starts_another(supervisor: Supervised) -> None:
    frontend = supervisor.connect()
    first = frontend.await_state("first", "ready")
    running, old = supervisor.launchers("first"), fork_server(supervisor)
    old.kill()
    until(lambda: gone([old]) and zombies(supervisor) == [], "its end, and it is collected")
    assert serves(first.url)
    assert fork_servers(supervisor) == []
    assert serves(frontend.hold("second").url)
    assert fork_servers(supervisor) not in ([], [old])
    assert supervisor.launchers("first") == running


def test_one_that_ends_before_it_forks_is_replaced_by_the_supervisor(
    supervisor: Supervised,
) -> None:
    frontend = supervisor.connect()
    frontend.await_state("first", "ready")
    stopped = fork_server(supervisor)
    stopped.suspend()
    frontend.send(Hold(frontend.current("second").build))
    frontend.await_state("second", "loading")
    assert supervisor.launchers("second") == []
    stopped.kill()
    assert serves(frontend.await_state("second", "ready").url)
    assert len(supervisor.launchers("second")) == 1


def test_one_that_forks_nothing_in_time_is_killed(tmp_path: Path) -> None:
    slow = program("import time; time.sleep(600)", limit=0.5)
    with supervised(tmp_path, program=slow, first=START) as supervisor:
        assert serves(supervisor.connect().await_state("first", "ready").url)
        until(lambda: fork_servers(supervisor) == [], "its end")


def test_one_that_cannot_import_is_done_without(tmp_path: Path) -> None:
    broken = program("raise OSError('no such library')")
    with supervised(tmp_path, program=broken, first=START) as supervisor:
        assert serves(supervisor.connect().await_state("first", "ready").url)
        until(lambda: zombies(supervisor) == [], "it is collected")


def test_a_launcher_that_is_stopped_before_it_was_forked_never_serves(
    supervisor: Supervised,
) -> None:
    frontend = supervisor.connect()
    frontend.await_state("first", "ready")
    fork_server(supervisor).suspend()
    frontend.send(Load(1, "second"))
    frontend.await_state("second", "loading")
    frontend.send(Unload(2, "second"))
    frontend.await_state("second", "unloaded")
    fork_server(supervisor).resume()
    assert serves(frontend.hold("second").url)
    until(lambda: len(supervisor.launchers("second")) == 1, "the first has ended")
    until(lambda: zombies(supervisor) == [], "it is collected")


@pytest.mark.parametrize("how", [signal.SIGKILL, signal.SIGTERM])
def test_it_ends_with_the_supervisor(supervisor: Supervised, how: signal.Signals) -> None:
    supervisor.connect().await_state("first", "ready")
    server = fork_server(supervisor)
    everyone = [
        server,
        *supervisor.launchers("first"),
        *supervisor.launchers("first")[0].children(),
    ]
    server.suspend()
    supervisor.process.send_signal(how)
    supervisor.process.wait(PATIENCE)
    until(lambda: gone(everyone), "the end of all")


COMPUTES = """
import json, os
from multiprocessing import Pipe
from rowcast.launch.fork_server import ForkServer, adopt_orphans
from rowcast.launch.reports import Stage, decode
from rowcast.models.build import Build

def computed():
    "Return the result of a parallel region of torch, and how many threads it left."
    import torch
    torch.set_num_threads(3)
    drawn = torch.rand(1 << 21, generator=torch.Generator().manual_seed(1))
    total = (drawn.sin() + drawn.exp()).view(torch.int32).sum(dtype=torch.int64)
    wide = drawn.view(1 << 10, -1)
    product = (wide @ wide.T).view(torch.int32).sum(dtype=torch.int64)
    return [int(total), int(product), len(os.listdir("/proc/self/task"))]

def run(build, url, reports):
    reports.send(Stage(json.dumps(computed())))
    return 0

server = ForkServer(run, lambda: None)
adopt_orphans(True)
pipes = []
for number in range(3):
    ours, theirs = Pipe()
    server.order(Build(id=str(number), name="a", variables={}), "", theirs)
    theirs.close()
    pipes.append(ours)
forked = []
for pipe in pipes:
    started = decode(pipe.recv_bytes())
    forked.append(json.loads(decode(pipe.recv_bytes()).text))
    os.waitpid(started.pid, 0)
alone = len(os.listdir(f"/proc/{server.pid}/task"))
server.close()
os.waitpid(server.pid, 0)
print(json.dumps([alone, forked, computed()]))
"""


def test_what_it_forks_computes_with_threads_as_a_process_of_its_own_does() -> None:
    """It has imported torch, whose thread pools must not have begun when it is forked."""
    done = subprocess.run(
        (sys.executable, "-c", COMPUTES),
        env={"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT / "inference-api")},
        stdout=subprocess.PIPE,
        timeout=100,
        check=True,
    )
    threads, forked, own = json.loads(done.stdout)
    assert threads == 1
    assert [each[:2] for each in forked] == [own[:2]] * 3
    assert all(each[2] >= 3 for each in (*forked, own)), "it computed without threads"
