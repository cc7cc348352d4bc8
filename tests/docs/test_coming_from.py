"""docs/coming-from/: every command and program of its pages runs, on a free port and scripted.

A page's `bash` blocks are sent to one server that has all of the pages' names; its `python` blocks
are programs; of its `console` blocks, the lines that start a server do so. Lines that need Docker
are held to the Makefile: tests/contract/test_p18_compose.py runs them with a stand-in for Docker.
"""

import json
import re
import shlex
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
import requests

from contract.asking import serves
from page_programs import check_program
from processes import ROOT, SERVER, Running, free_port, running, typed
from recipes import recipe
from rowcast.console import COMMANDS

FOLDER = ROOT / "docs" / "coming-from"
PAGES = sorted(FOLDER.glob("*.md"))
NAMES = ["facebook/opt-125m", "LLaMA", "vicuna_q2", "storyteller"]
PORTS = r"(3000|8000|8001|8080|11434)"
BLOCKS = [
    (page.stem, kind, block)
    for page in PAGES
    for kind, block in re.findall(
        r"^```(\w+)\n(.*?)^```", page.read_text(), re.DOTALL | re.MULTILINE
    )
]
LINES = [
    line.removeprefix("$ ").partition("  #")[0].strip()
    for _, kind, block in BLOCKS
    if kind == "console"
    for line in block.splitlines()
]


def blocks(kind: str) -> list[object]:
    """Return the blocks of one language, each with its page as the test's id."""
    return [pytest.param(block, id=page) for page, each, block in BLOCKS if each == kind]


def adapted(text: str, port: int) -> str:
    """Return it with a free port, and with a model that needs no loading."""
    text = re.sub(rf"(localhost:|127\.0\.0\.1:|port=|port |PORT=){PORTS}\b", rf"\g<1>{port}", text)
    text = re.sub(r"(MODEL=|--model )\S+", r"\g<1>scripted", text)
    return text.replace('"storyteller"', '"scripted"')


def starts() -> list[str]:
    """Return the lines that start a server, each once after its adaption."""
    found = (line for line in LINES if re.search(r"run-app|gunicorn|inference_api_server", line))
    return list({adapted(line, 0): line for line in found if "LOAD_IMAGE" not in line}.values())


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Running]:
    """A server whose model has the name of every page."""
    folder, port = tmp_path_factory.mktemp("names"), free_port()
    models = folder / "models.json"
    models.write_text(json.dumps({"opt-125m": {"model": "scripted", "aliases": NAMES}}))
    env = {"PORT": str(port), "MODELS": str(models), "JOURNAL": "off"}
    with running(SERVER, port, folder / "log", env=env) as server:
        yield server


@pytest.mark.slow
@pytest.mark.parametrize("block", blocks("bash"))
def test_a_command_is_answered(block: str, server: Running) -> None:
    command = adapted(block, server.port).replace("curl ", "curl --fail-with-body -sS ", 1)
    done = subprocess.run(
        ["bash", "-euc", command], check=False, capture_output=True, text=True, timeout=60
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout


@pytest.mark.slow
@pytest.mark.parametrize("block", blocks("python"))
def test_a_program_runs(block: str, server: Running, tmp_path: Path) -> None:
    port = free_port() if ".fire(" in block else server.port
    check_program(adapted(block, port), port, tmp_path)


@pytest.mark.slow
@pytest.mark.parametrize("line", starts())
def test_a_line_starts_a_server(line: str, tmp_path: Path) -> None:
    port = free_port()
    command, env = adapted(line, port), {"JOURNAL": "off"}
    if command.startswith("make "):
        _, target, *variables = shlex.split(command)
        env |= dict(each.split("=", 1) for each in variables)
        command = recipe(target, *variables)
    with typed(command, port, tmp_path / "log", env=env) as server:
        assert serves(port)
        assert server.stop() == 0


MIGRATING = (ROOT / "docs" / "migrating.md").read_text()
PORTS_OF_OTHERS = re.findall(
    r"^\| .* \| `make (run-app) (PORT=\d+)` \| .*?`http://localhost:\d+(\S*)`",
    MIGRATING,
    re.MULTILINE,
)


@pytest.mark.slow
@pytest.mark.parametrize(("target", "port", "path"), PORTS_OF_OTHERS)
def test_the_table_of_ports_names_a_command_and_an_address(
    target: str, port: str, path: str, server: Running
) -> None:
    assert recipe(target, port).endswith("inference-api/inference_api_server.py ")
    if path.startswith("/generate"):
        answer = requests.post(server.url + path, json={"prompt": "Hi"}, timeout=20)
    else:
        answer = requests.get(
            server.url + (path + "/models" if path == "/v1" else path), timeout=20
        )
    assert answer.status_code == 200


def test_every_console_command_of_the_table_exists() -> None:
    named = set(re.findall(r"`rowcast ([a-z-]+)", MIGRATING))
    assert {"server", "proxy", "token"} & named
    assert named <= {command.name for command in COMMANDS}


def test_the_lines_are_found() -> None:
    assert len(PORTS_OF_OTHERS) >= 6
    assert len(blocks("bash")) >= 10
    assert len(blocks("python")) >= 3
    assert len(starts()) == 3, starts()


def test_every_make_target_exists() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    named = {
        word for page in PAGES for word in re.findall(r"\bmake ([a-z]+-[a-z-]+)", page.read_text())
    }
    assert {"run-app", "start-inference-service", "test-inference-service"} <= named <= targets


def test_the_folder_has_an_index() -> None:
    index = (FOLDER / "README.md").read_text()
    assert [page.name for page in PAGES if f"]({page.name})" not in index] == ["README.md"]
