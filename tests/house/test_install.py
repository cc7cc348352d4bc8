"""`scripts/install` in a scratch tree, with a pip that only records its arguments."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from processes import ROOT

# A real Python, except where the test's variables override it.
STUB = f"""#!/bin/sh
case "$*" in
    "-m pip"*"index versions"*) echo "Available versions: $OFFERED"; exit 0 ;;
    "-m pip"*) echo "$*" >> pip.calls; echo "$PIP_FAULT"; [ -z "$PIP_FAULT" ]; exit ;;
    "-m venv"*) mkdir -p .venv/bin; cp "$0" .venv/bin/python; exit 0 ;;
    *version_info*) [ -z "$OLD" ]; exit ;;
    *platform*) [ -n "$OLD" ] && echo "$OLD" && exit 0 ;;
    *ensurepip*) [ -z "$NO_VENV" ]; exit ;;
    *metadata*) [ "$3" = "$TORCH" ]; exit ;;
esac
exec {sys.executable} "$@"
"""
NO_GPU = not Path("/dev/nvidia0").exists()


class Tree:
    """A folder with the files that `scripts/install` needs, and nothing else."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        (folder / "scripts").mkdir()
        shutil.copy(ROOT / "scripts" / "install", folder / "scripts")
        self.write("requirements.txt", "torch==2.13.0\nflask==3.1.3\n")
        self.write("requirements_dev.txt", "pytest==9.2.0\n")
        self.program("python-stub", STUB)

    def write(self, name: str, text: str) -> None:
        (self.folder / name).write_text(text)

    def program(self, name: str, text: str) -> None:
        self.write(name, text)
        (self.folder / name).chmod(0o755)

    def install(self, *arguments: str, **env: str) -> subprocess.CompletedProcess[str]:
        (self.folder / "pip.calls").unlink(missing_ok=True)
        path = f"{self.folder}:{os.environ['PATH']}"
        return subprocess.run(
            ("scripts/install", *arguments),
            check=False,
            cwd=self.folder,
            env={"PATH": path, "PYTHON": str(self.folder / "python-stub"), **env},
            capture_output=True,
            text=True,
            timeout=60,
        )

    def pip_calls(self) -> list[str]:
        calls = self.folder / "pip.calls"
        return calls.read_text().splitlines() if calls.exists() else []


@pytest.fixture
def tree(tmp_path: Path) -> Tree:
    return Tree(tmp_path)


@pytest.mark.slow
def test_it_makes_the_environment_and_installs_the_requirements(tree: Tree) -> None:
    done = tree.install()
    assert done.returncode == 0, done.stderr
    assert (tree.folder / ".venv").is_dir()
    assert [each for each in tree.pip_calls() if each.endswith("install -r requirements.txt")]
    assert not [each for each in tree.pip_calls() if "requirements_dev" in each]


@pytest.mark.slow
def test_the_second_time_there_is_nothing_to_do(tree: Tree) -> None:
    tree.install("--dev")
    for arguments in ((), ("--dev",)):
        done = tree.install(*arguments)
        assert "is up to date" in done.stdout
        assert not tree.pip_calls()


@pytest.mark.slow
def test_only_what_changed_is_installed_again(tree: Tree) -> None:
    tree.install("--dev")
    tree.write("requirements_dev.txt", "pytest==9.2.1\n")
    assert tree.install("--dev").returncode == 0
    [call] = [each for each in tree.pip_calls() if "-r" in each]
    assert call.endswith("-r requirements_dev.txt")


@pytest.mark.slow
def test_a_failed_installation_is_explained_and_tried_again(tree: Tree) -> None:
    done = tree.install(PIP_FAULT="no route to index")
    assert done.returncode == 1
    assert "no route to index" in done.stderr
    assert "PIP_INDEX_URL" in done.stderr
    assert tree.install().returncode == 0
    assert tree.pip_calls()


def test_an_old_python_is_named(tree: Tree) -> None:
    done = tree.install(OLD="3.9.2")
    assert done.returncode == 1
    assert "Python 3.11 or newer is needed; found 3.9.2; set PYTHON=" in done.stderr
    assert not (tree.folder / ".venv").exists()


def test_no_python_at_all_is_said(tree: Tree) -> None:
    done = tree.install(PYTHON=str(tree.folder / "nowhere"))
    assert "found none" in done.stderr


def test_a_missing_venv_package_is_named(tree: Tree) -> None:
    done = tree.install(NO_VENV="yes")
    assert done.returncode == 1
    assert "apt install python3-venv" in done.stderr
    assert not (tree.folder / ".venv").exists()


@pytest.mark.slow
def test_a_broken_environment_is_made_anew(tree: Tree) -> None:
    tree.install()
    (tree.folder / ".venv" / "bin" / "python").write_text("no program")
    assert "Making .venv" in tree.install().stdout


@pytest.mark.slow
@pytest.mark.skipif(not NO_GPU, reason="this machine has an NVIDIA GPU")
def test_without_a_gpu_the_cpu_build_of_torch_comes_first(tree: Tree) -> None:
    done = tree.install(OFFERED="2.14.0+cpu, 2.13.0+cpu")
    assert done.returncode == 0
    first, *others = tree.pip_calls()
    assert first.endswith("torch==2.13.0+cpu")
    assert not [each for each in others if "+cpu" in each]


@pytest.mark.slow
@pytest.mark.skipif(not NO_GPU, reason="this machine has an NVIDIA GPU")
def test_where_it_is_out_of_reach_the_plain_pin_is_taken(tree: Tree) -> None:
    done = tree.install(OFFERED="2.12.0+cpu")
    assert done.returncode == 0
    [call] = tree.pip_calls()
    assert call.endswith("-r requirements.txt")


@pytest.mark.slow
def test_with_a_gpu_the_plain_pin_is_taken(tree: Tree) -> None:
    tree.program("nvidia-smi", "#!/bin/sh\necho GPU 0\n")
    tree.install(OFFERED="2.13.0+cpu")
    assert not [each for each in tree.pip_calls() if "+cpu" in each]


@pytest.mark.slow
def test_torch_that_is_there_is_left_alone(tree: Tree) -> None:
    tree.install(OFFERED="2.13.0+cpu", TORCH="2.13.0")
    assert not [each for each in tree.pip_calls() if "+cpu" in each]


def test_unknown_arguments_get_the_usage(tree: Tree) -> None:
    done = tree.install("--everything")
    assert done.returncode != 0
    assert "scripts/install [--dev]" in done.stdout


def test_without_a_compiler_the_tests_say_what_to_install(tree: Tree) -> None:
    tools = tree.folder / "tools"
    tools.mkdir()
    for name in ("bash", "dirname"):
        (tools / name).symlink_to(str(shutil.which(name)))
    done = tree.install("--dev", PATH=str(tools))
    assert done.returncode == 1
    assert "sudo apt install gcc libc6-dev" in done.stderr
