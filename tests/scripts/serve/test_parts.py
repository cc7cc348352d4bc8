"""The parts of `scripts/serve` that need no server.

Covers `serve/cli`, `serve/options`, `stack`, `child`.
"""

import shlex
import stat
import subprocess
import sys
from pathlib import Path

import jwt
import pytest

from commands.serve import cli, options
from commands.serve.options import InvalidOptions
from local.child import Child
from processes import ROOT, until

SECRET = "0123456789abcdef0123456789abcdef"


def test_without_variables_the_usual_ports_and_fresh_secrets() -> None:
    one, other = options.read([], {}), options.read([], {})
    assert (one.port, one.proxy_port, one.url) == (7000, 1223, "http://127.0.0.1:1223")
    assert len({one.jwt_secret, other.jwt_secret}) == 2
    assert one.environment["PROXY_SECRET"] != other.environment["PROXY_SECRET"]


def test_flags_win_over_variables_and_an_empty_variable_counts_as_not_set() -> None:
    chosen = options.read(["--port", "7001"], {"PORT": "7002", "PROXY_PORT": " "})
    assert (chosen.port, chosen.proxy_port) == (7001, 1223)


def test_q10_a_model_may_be_named_and_takes_precedence_over_variables() -> None:
    shell = {"MODEL": "draft", "MODELS": "config/model_config.json"}
    server, _ = options.read(["facebook/opt-125m"], shell).parts()
    assert server.environment["MODEL"] == "facebook/opt-125m"
    assert "MODELS" not in server.environment
    server, _ = options.read([], shell).parts()
    assert server.environment.items() >= shell.items()


@pytest.mark.parametrize("value", ["0", "65536", "x", "-1", "1e3", "²"])
def test_a_port_that_is_none_is_refused(value: str) -> None:
    with pytest.raises(InvalidOptions, match="PROXY_PORT"):
        options.read([], {"PROXY_PORT": value})


def test_two_parts_cannot_have_one_port() -> None:
    with pytest.raises(InvalidOptions, match="1223"):
        options.read([], {"PORT": "1223"})


def test_secrets_do_not_show_in_a_representation() -> None:
    chosen = options.read([], {"JWT_SECRET": SECRET, "PROXY_SECRET": "proxy" + SECRET})
    assert SECRET not in repr(chosen)
    assert SECRET not in repr(chosen.parts())


@pytest.mark.parametrize(("host", "url"), [("0.0.0.0", "127.0.0.1"), ("::", "[::1]")])
def test_a_proxy_that_listens_everywhere_is_found_here(host: str, url: str) -> None:
    assert options.read([], {"PROXY_HOST": host}).url == f"http://{url}:1223"


def test_the_server_listens_here_whatever_the_shell_calls_this_machine() -> None:
    server, _ = options.read([], {"HOST": "workstation"}).parts()
    assert server.environment["HOST"] == "127.0.0.1"


def test_the_curl_line_survives_a_shell() -> None:
    words = shlex.split(cli.curl_line(options.read([], {}), "it's", "a.b.c"))
    assert words[2] == "http://127.0.0.1:1223/inference/it's"
    assert "Authorization: Bearer a.b.c" in words


def test_the_token_carries_team_and_an_end() -> None:
    claims = jwt.decode(cli.token_of(SECRET), SECRET, algorithms=["HS256"])
    assert claims["team_id"] == "local"
    assert claims["exp"] > 0


@pytest.mark.slow
def test_l_a_log_that_all_could_read_is_this_user_s_alone_from_the_next_start(
    tmp_path: Path,
) -> None:
    log = tmp_path / "part.log"
    log.write_text("of the last time")
    log.chmod(0o644)
    part = Child("part", (sys.executable, "-c", "print('now')"), {}, tmp_path, log)
    part.start()
    until(lambda: not part.runs, "its end")
    assert log.read_text() == "now\n"
    assert stat.S_IMODE(log.stat().st_mode) == 0o600


ORPHANS = """
import ctypes, os, sys, time
sys.path.insert(0, "scripts")
from commands.serve.stack import reap_orphans
ctypes.CDLL(None).prctl(36, 1)  # as process 1: inherit orphans
told, tell = os.pipe()
ours = os.fork()
if ours == 0:
    os.read(told, 1)
    os._exit(7)
parent = os.fork()
if parent == 0:
    os.fork()
    os._exit(0)
os.waitpid(parent, 0)
until = time.monotonic() + 30
children = None
while children != [str(ours)] and time.monotonic() < until:
    reap_orphans({ours})
    with open(f"/proc/self/task/{os.getpid()}/children") as file:
        children = file.read().split()
    time.sleep(0.01)
os.write(tell, b".")
os.waitid(os.P_PID, ours, os.WEXITED | os.WNOWAIT)
reap_orphans({ours})
print(children == [str(ours)], os.waitstatus_to_exitcode(os.waitpid(ours, 0)[1]))
"""


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="only Linux has containers' process 1")
def test_orphans_are_reaped_and_our_own_are_left_to_us() -> None:
    done = subprocess.run(
        (sys.executable, "-c", ORPHANS),
        check=False,
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert done.stdout.split() == ["True", "7"], done.stderr


def test_the_link_carries_the_token_where_no_server_receives_it() -> None:
    chosen = options.read([], {"JWT_SECRET": SECRET, "PROXY_PORT": "1224"})
    assert cli.page_link(chosen, "a.b.c") == "http://127.0.0.1:1224/#token=a.b.c"
