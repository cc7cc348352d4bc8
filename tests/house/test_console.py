"""The command `rowcast`, installed from a wheel into its own environment, outside the tree.

The environment takes the packages that Rowcast needs from the one that runs the tests: nothing is
downloaded.

Covers `console`, `tree`.
"""

import importlib.util
import json
import re
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
import requests

from processes import ROOT, free_port, running, until
from rowcast import console
from rowcast.console import COMMANDS, Command

pytestmark = pytest.mark.slow

LEFT_OUT = shutil.ignore_patterns(
    ".*", "build", "dist", "docs", "tests", "__pycache__", "*.egg-info", "corpus"
)
IN_THE_TREE_ONLY = {
    *("scripts/install", "scripts/check", "scripts/docs", "scripts/picture", "scripts/house"),
    *("scripts/screenshots", "scripts/gpu_check"),
    *(
        f"scripts/commands/{folder}/{path.name}"
        for folder in ("house", "gpu_check")
        for path in (ROOT / "scripts/commands" / folder).iterdir()
    ),
}
LOADING = 120.0  # seconds; the kernels may have to be compiled
HEAVY = {"argparse", "flask", "gevent", "gunicorn", "jwt", "pydantic", "rowcast.settings", "torch"}


def pip(*arguments: str) -> None:
    command = (sys.executable, "-m", "pip", "--disable-pip-version-check", *arguments)
    done = subprocess.run(command, check=False, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Build a wheel from a copy of the tree, so that the tree stays clean."""
    folder = tmp_path_factory.mktemp("wheel")
    shutil.copytree(ROOT, folder / "source", ignore=LEFT_OUT)
    offline = ("--no-deps", "--no-index", "--no-build-isolation")
    pip("wheel", "-q", *offline, "-w", str(folder), str(folder / "source"))
    shutil.rmtree(folder / "source")
    return next(folder.glob("rowcast-*.whl"))


@dataclass(frozen=True)
class Installed:
    """An environment with Rowcast installed, and an empty folder to run it from."""

    environment: Path
    home: Path

    @property
    def program(self) -> str:
        return str(self.environment / "bin" / "rowcast")

    def run(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run a command that ends by itself."""
        return subprocess.run(
            (self.program, *arguments),
            check=False,
            cwd=self.home,
            env={"PATH": "/usr/bin:/bin", "HOME": str(self.home)},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def files(self) -> set[Path]:
        """Return everything in the environment except compiled Python."""
        return {each for each in self.environment.rglob("*") if "__pycache__" not in each.parts}


@pytest.fixture(scope="module")
def installed(wheel: Path, tmp_path_factory: pytest.TempPathFactory) -> Installed:
    folder = tmp_path_factory.mktemp("installed")
    made = (sys.executable, "-m", "venv", "--without-pip", str(folder / "venv"))
    subprocess.run(made, check=True, timeout=60)
    packages = next((folder / "venv" / "lib").glob("python*/site-packages"))
    (packages / "needed.pth").write_text(sysconfig.get_path("purelib") + "\n")
    python = str(folder / "venv" / "bin" / "python")
    pip("--python", python, "install", "-q", "--no-deps", "--no-index", "--no-compile", str(wheel))
    (folder / "home").mkdir()
    return Installed(folder / "venv", folder / "home")


def test_q10_help_fits_a_screen_and_names_every_command(installed: Installed) -> None:
    done = installed.run("--help")
    lines = done.stdout.splitlines()
    assert done.returncode == 0
    assert len(lines) <= 24
    assert max(map(len, lines)) <= 80
    assert re.findall(r"^  ([a-z-]+) ", done.stdout, re.MULTILINE) == [c.name for c in COMMANDS]
    assert installed.run().stdout == done.stdout


def test_help_loads_nothing_that_is_slow() -> None:
    code = "import sys; from rowcast import console; console.run([]); print(*sys.modules)"
    done = subprocess.run(
        (sys.executable, "-c", code),
        env={"PYTHONPATH": str(ROOT / "inference-api")},
        check=True,
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert not HEAVY & {*done.stdout.splitlines()[-1].split()}


@pytest.mark.parametrize("name", [each.name for each in COMMANDS if each.name != "settings"])
def test_q10_each_command_has_help_that_calls_it_by_its_name(
    name: str, installed: Installed
) -> None:
    done = installed.run(name, "--help")
    assert done.returncode == 0, done.stderr
    assert done.stdout.startswith(f"usage: rowcast {name} ")
    assert f"scripts/{name}" not in done.stdout


def test_settings_are_listed(installed: Installed) -> None:
    done = installed.run("settings")
    assert done.returncode == 0, done.stderr
    assert done.stdout == (ROOT / "docs" / "settings.md").read_text()


def test_an_unknown_command_gets_the_nearest_name(installed: Installed) -> None:
    done = installed.run("replaay", "receipt.json")
    assert done.returncode == 2
    assert "unknown command 'replaay'; did you mean `rowcast replay`?" in done.stderr


def test_a_missing_package_is_named(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    command = Command("harm", "do harm", "scripts/harm", ("json", "a_package_of_nobody"))
    monkeypatch.setattr(console, "COMMANDS", (command,))
    assert console.run(["harm"]) == 2
    assert "pip install a_package_of_nobody" in capsys.readouterr().err


def test_tokens_are_made_and_read_and_statuses_passed_on(installed: Installed) -> None:
    claims = {"team_id": "a-team"}
    made = installed.run("token", "--secret", "s", "encode", json.dumps(claims))
    read = installed.run("token", "--secret", "s", "decode", made.stdout.strip())
    assert json.loads(read.stdout) == claims
    wrong = installed.run("token", "--secret", "another", "decode", made.stdout.strip())
    assert (made.returncode, read.returncode, wrong.returncode) == (0, 0, 1)
    assert wrong.stderr.startswith("rowcast token: ")
    assert installed.run("token").returncode == 2


@pytest.mark.parametrize("command", COMMANDS, ids=lambda command: command.name)
def test_in_the_source_tree_the_same_programs_are_found(command: Command) -> None:
    if "/" in command.program:
        assert Path(*command.words) == ROOT / command.program
        assert (ROOT / command.program).is_file()
    else:
        assert importlib.util.find_spec(command.program)


def tracked(*folders: str) -> Iterator[str]:
    """Yield the files of the tree that the wheel must contain."""
    for folder in folders:
        for path in (ROOT / folder).rglob("*"):
            if path.is_file() and "__pycache__" not in path.parts:
                yield path.relative_to(ROOT).as_posix()


def test_the_wheel_has_all_that_the_commands_need(wheel: Path) -> None:
    has = {*zipfile.ZipFile(wheel).namelist()}
    folders = (
        "inference-api/rowcast",
        "inference-api/rowcast_http",
        "inference-api/rowcast_metrics",
        "inference-api/rowcast_settings",
        "inference-api/rowcast_telemetry",
    )
    packages = {each.removeprefix("inference-api/") for each in tracked(*folders)}
    beside = {*tracked("models/storyteller", "models/draft", "proxy", "scripts")} - IN_THE_TREE_ONLY
    assert packages - has == set()
    assert {f"rowcast_tree/{each}" for each in {*beside, "gunicorn.conf.py"}} - has == set()


def test_q10_serve_streams_a_story_from_an_empty_folder(installed: Installed) -> None:
    """The folder is not quite empty: a file shadows a module that the server needs."""
    empty = installed.home / "empty"
    empty.mkdir()
    (empty / "random.py").write_text("raise SystemExit('this is not the random that is wanted')")
    before, log = installed.files(), installed.home / "said"
    state = installed.home / "state"
    proxy = free_port()
    variables = {
        "PORT": str(free_port()),
        "PROXY_PORT": str(proxy),
        "MODEL": "",
        "XDG_STATE_HOME": str(state),
    }
    command = (installed.program, "serve")
    with running(command, proxy, log, env=variables, cwd=empty, patience=LOADING) as stack:
        until(lambda: "Ctrl-C stops both" in stack.output(), "the invitation")
        found = re.search(r"Bearer ([\w.-]+)", stack.output())
        assert found
        with requests.post(
            f"{stack.url}/inference/storyteller",
            json={"text": "Once upon a time", "max_tokens": 50, "seed": 3},
            headers={"Authorization": f"Bearer {found[1]}"},
            stream=True,
            timeout=60,
        ) as reply:
            assert reply.status_code == 200
            pieces = list(reply.iter_content(None))
        assert len(pieces) > 1
        assert len(b"".join(pieces).split()) > 10
        assert stack.stop() == 0
    assert "Stopped." in stack.output()
    assert installed.files() == before
    assert [each.name for each in empty.iterdir()] == ["random.py"]
    kept = {each.name for each in (state / "rowcast" / "logs").iterdir()}
    assert kept == {"server.log", "proxy.log"}
