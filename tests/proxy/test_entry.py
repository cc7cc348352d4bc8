"""The documented commands, run as a user runs them.

Covers `proxy`, `serving`.
"""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from processes import ROOT, free_port, running

from .clients import SECRET, ask
from .conftest import ENTRY
from .fake_upstream import FakeUpstream


def run(*arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
    kept = {name: value for name, value in os.environ.items() if name in {"PATH", "HOME"}}
    return subprocess.run(
        [*ENTRY, *arguments],
        env={**kept, **env},
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def test_without_a_secret_it_refuses_to_start() -> None:
    done = run()
    assert done.returncode == 2
    assert "JWT_SECRET is not set" in done.stderr
    assert "Traceback" not in done.stderr


def test_bad_settings_are_named_together() -> None:
    done = run(JWT_SECRET=SECRET, PROXY_PORT="x", PROXY_WORKERS="0")
    assert done.returncode == 2
    assert "PROXY_PORT" in done.stderr
    assert "PROXY_WORKERS" in done.stderr
    assert SECRET not in done.stderr


@pytest.mark.slow
def test_unknown_flags_are_refused() -> None:
    done = run("--bogus", JWT_SECRET=SECRET)
    assert done.returncode == 2
    assert "--bogus" in done.stderr


@pytest.mark.slow
def test_help_names_every_flag_and_fits_a_screen() -> None:
    done = run("--help")
    assert done.returncode == 0
    assert "--upstream-url" in done.stdout
    assert len(done.stdout.splitlines()) <= 40


@pytest.mark.slow
def test_the_documentation_has_the_current_settings_table() -> None:
    table = run("--settings-table").stdout
    assert table.startswith("| variable |")
    assert table in (ROOT / "docs" / "proxy.md").read_text()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("folder", "entry"), [(ROOT, "proxy/proxy.py"), (ROOT / "proxy", "proxy.py")]
)
def test_it_starts_from_the_root_and_from_its_folder(
    folder: Path, entry: str, tmp_path: Path, upstream: FakeUpstream
) -> None:
    port = free_port()
    env = {"JWT_SECRET": "test-secret-123", "PROXY_PORT": str(port), "UPSTREAM_URL": upstream.url}
    log = tmp_path / "proxy.log"
    command = (sys.executable, entry)
    with running(command, port, log, env=env, cwd=folder, ready_path="/liveness") as proxy:
        assert ask(port, "GET", "/health").status == 200
        assert "well-known" in proxy.output()
        assert "PROXY_SECRET is not set" in proxy.output()
        assert "test-secret-123" not in proxy.output()
        assert not list(folder.glob("*.ctl"))
