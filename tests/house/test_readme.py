"""The user pages show what happens: their commands run as written, except for the address."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import pytest

from house.conftest import Stack, serving
from processes import ROOT

SHOWING = (
    ROOT / "README.md",
    *(ROOT / "docs" / name for name in ("tutorial.md", "migrating.md", "why.md")),
)
PAGES = (*sorted(ROOT.glob("*.md")), *sorted((ROOT / "docs").rglob("*.md")))
BLOCKS = [re.findall(r"```(\w+)\n(.*?)```", page.read_text(), re.DOTALL) for page in SHOWING]
CURLS = [
    text
    for blocks in BLOCKS
    for kind, text in blocks
    if kind == "bash" and text.startswith("curl ")
]
SHOWN = [
    (text, following)
    for blocks in BLOCKS
    for (kind, text), (after, following) in pairwise(blocks)
    if kind == "bash" and after == "text"
]
PROGRAMS = [text for blocks in BLOCKS for kind, text in blocks if kind == "python"]


LOADING = 120.0  # seconds; the kernels are compiled on first use


@pytest.fixture(scope="module")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    """What `make serve` starts for a user who has set nothing."""
    folder = tmp_path_factory.mktemp("readme")
    state = {"MODEL": "", "XDG_STATE_HOME": str(folder)}
    with serving(folder, patience=LOADING, **state) as one:
        yield one


@pytest.mark.slow
def test_the_printed_curl_line_tells_a_story(stack: Stack) -> None:
    assert "serving the model storyteller" in stack.said()
    done = subprocess.run(("bash", "-c", stack.curl), check=False, capture_output=True, timeout=60)
    story = done.stdout.decode()
    assert done.returncode == 0, done.stderr
    assert len(story) > 300
    sentences = [each.strip() for each in re.split(r"[.!?]", story) if each.strip()]
    assert len(sentences) > 5
    words = set(re.findall(r"[a-z]+", story.lower()))
    assert len(words & {"the", "a", "was", "and", "said", "to", "in", "they", "he", "she"}) > 5


def run(stack: Stack, *command: str) -> str:
    done = subprocess.run(
        [each.replace("http://127.0.0.1:1223", stack.url) for each in command],
        check=False,
        env=os.environ | {"TOKEN": stack.token, "PYTHONUTF8": "1"},
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.decode()


@pytest.mark.slow
@pytest.mark.parametrize("block", CURLS)
def test_curl_commands_work(block: str, stack: Stack) -> None:
    printed = run(stack, "bash", "-euc", block)
    assert printed
    assert "status_code" not in printed


@pytest.mark.slow
@pytest.mark.parametrize(("block", "shown"), SHOWN)
def test_answers_are_the_ones_that_are_shown(block: str, shown: str, stack: Stack) -> None:
    assert run(stack, "bash", "-euc", block).rstrip("\n") == shown.rstrip("\n")


@pytest.mark.slow
def test_the_python_example_prints_what_curl_prints(stack: Stack) -> None:
    [program] = [text for text in PROGRAMS if "import requests" in text]
    assert run(stack, sys.executable, "-c", program) == SHOWN[0][1].rstrip("\n")


@pytest.mark.slow
def test_openais_client_tells_a_story(stack: Stack) -> None:
    [program] = [text for text in PROGRAMS if "openai" in text]
    assert len([line for line in program.splitlines() if line.strip()]) == 5
    assert len(run(stack, sys.executable, "-c", program).split()) > 20


def test_every_command_was_found() -> None:
    assert (len(CURLS), len(SHOWN), len(PROGRAMS)) == (9, 2, 2)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_links_lead_somewhere(page: Path) -> None:
    targets = re.findall(r"\]\((?!https?:)([^)#]+)", page.read_text())
    assert [each for each in targets if not (page.parent / each).exists()] == []


@pytest.mark.slow
def test_make_targets_that_are_named_exist() -> None:
    targets = re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    text = "\n".join(page.read_text() for page in (*SHOWING, ROOT / "docs" / "running.md"))
    named = set(re.findall(r"`make ([a-z-]+)", text))
    assert named
    assert named <= {*targets}
