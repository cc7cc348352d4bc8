"""P-08, P-18, P-19: the service in containers, started, checked and stopped by make.

No Docker engine runs in the tests. A program named `docker` takes its place: it records how it is
called, and runs what `exec` is to run in a container as a command of this machine.
"""

import importlib
import os
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from contract.conftest import JWT_SECRET, Stack
from processes import ROOT, running_server

FAKE_DOCKER = """#!/bin/bash
call="$*"
echo "${{call//$'\n'/ }}" >> {calls}
case "$*" in
    *" exec "*)
        while [[ $1 != sh ]]; do shift; done
        script=${{3//127.0.0.1:1223/127.0.0.1:{port}}}
        exec sh -c "$script"
        ;;
    *" version"*) exit {version} ;;
esac
"""


@dataclass(frozen=True)
class FakeDocker:
    """A folder with a program named `docker`, and the file of its calls."""

    folder: Path

    @property
    def calls(self) -> list[str]:
        """The calls, without those that only check for Compose."""
        lines = (self.folder / "calls").read_text().splitlines()
        return [line for line in lines if not line.endswith(" version")]

    def make(self, *arguments: str) -> subprocess.CompletedProcess[str]:
        """Run make with this Docker; the containers' `python` is the one of the tests."""
        path = f"{self.folder}:{ROOT / '.venv' / 'bin'}:{os.environ['PATH']}"
        return subprocess.run(
            ("make", "--no-print-directory", *arguments),
            check=False,
            cwd=ROOT,
            env=os.environ | {"PATH": path, "JWT_SECRET": JWT_SECRET},
            capture_output=True,
            text=True,
            timeout=100,
        )


def fake_docker(folder: Path, port: int = 0, version: int = 0) -> FakeDocker:
    program = folder / "docker"
    program.write_text(FAKE_DOCKER.format(calls=folder / "calls", port=port, version=version))
    program.chmod(0o755)
    return FakeDocker(folder)


def compose() -> dict[str, Any]:
    yaml: Any = importlib.import_module("yaml")  # transformers needs it; no types are installed
    loaded: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
    return loaded


def test_p08_two_services_are_built_here_watched_and_started_in_order() -> None:
    services = compose()["services"]
    assert list(services) == ["server", "proxy"]
    for service in services.values():
        assert service["build"] == "."
        assert service["restart"] == "unless-stopped"
        assert service["healthcheck"]["test"]
    assert services["proxy"]["depends_on"] == {"server": {"condition": "service_healthy"}}
    assert services["proxy"]["ports"] == ["${PUBLIC_PORT:-1223}:1223"]
    assert "ports" not in services["server"]
    (volume,) = compose()["volumes"]
    assert any(each.startswith(f"{volume}:") for each in services["server"]["volumes"])


@pytest.mark.slow
def test_p08_workers_of_both_services_are_variables(tmp_path: Path) -> None:
    services = compose()["services"]
    assert "WORKERS" in services["server"]["environment"]
    assert "PROXY_WORKERS" in services["proxy"]["environment"]
    with running_server(tmp_path, env={"WORKERS": "2"}) as server:
        assert len(server.workers()) == 2


@pytest.mark.slow
def test_p18_make_starts_and_stops_the_service_with_compose(tmp_path: Path) -> None:
    docker = fake_docker(tmp_path)
    for target, call in (
        ("start-inference-service", "compose up --build --detach --wait"),
        ("stop-inference-service", "compose down"),
    ):
        done = docker.make(target)
        assert done.returncode == 0, done.stderr
        assert docker.calls[-1] == call
    older = docker.make("stop-inference-service", "COMPOSE=docker --old compose")
    assert older.returncode == 0
    assert docker.calls[-1] == "--old compose down"


@pytest.mark.slow
def test_p19_make_checks_the_api_of_the_running_service(stack: Stack, tmp_path: Path) -> None:
    docker = fake_docker(tmp_path, stack.proxy.port)
    done = docker.make("test-inference-service")
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("ok  ") > 5
    assert docker.calls[-1].startswith("compose exec -T proxy sh -c python - --url ")
    ended = fake_docker(tmp_path, port=1).make("test-inference-service")
    assert ended.returncode != 0, "nothing listens there"


@pytest.mark.slow
@pytest.mark.parametrize("target", ["start", "stop", "test"])
def test_p18_p19_without_compose_a_sentence_says_what_to_do(target: str, tmp_path: Path) -> None:
    done = fake_docker(tmp_path, version=1).make(f"{target}-inference-service")
    assert done.returncode != 0
    assert "This needs Docker with Compose" in done.stderr
    assert "Without containers: make serve" in done.stderr


def test_p19_the_program_in_the_container_needs_no_other_file() -> None:
    """It is sent on standard input, since an image has no tests."""
    text = (ROOT / "tests" / "test_inference_api.py").read_text()
    imported: Sequence[str] = re.findall(r"^(?:import|from) (\w+)", text, re.MULTILINE)
    assert {"pytest", "processes"} & {*imported} == set()
    assert "requests" in (ROOT / "requirements.txt").read_text()
    assert shutil.which("sh")
