"""Every example of docs/python.md and docs/offline.md runs, on a free port, with no real model."""

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import requests

from processes import ROOT, free_port

PAGE = "".join((ROOT / "docs" / name).read_text() for name in ("python.md", "offline.md"))
EXAMPLES = re.findall(r"```python\n(.*?)```", PAGE, re.DOTALL)


def adapted(example: str, port: int) -> str:
    """Return the example with models that need no loading, and a port that is free."""
    for model in ("storyteller", "draft"):
        example = example.replace(f'"{model}"', '"scripted"')
    return example.replace("8000", str(port))


@pytest.mark.slow
@pytest.mark.parametrize("number", range(len(EXAMPLES)))
def test_an_example_runs(number: int, tmp_path: Path) -> None:
    port, path = free_port(), tmp_path / "example.py"
    path.write_text(adapted(EXAMPLES[number], port))
    with subprocess.Popen(
        [sys.executable, str(path)],
        env=os.environ | {"PYTHONPATH": str(ROOT / "inference-api"), "PYTHONUNBUFFERED": "1"},
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    ) as process:
        assert process.stdout is not None
        shown = ""
        for line in process.stdout:
            shown += line
            if "Ctrl-C stops it" in line:
                assert requests.get(f"http://127.0.0.1:{port}/readiness", timeout=20).ok
                process.send_signal(signal.SIGINT)
    assert process.returncode == 0, shown
    assert shown.strip()


def test_the_page_has_examples_of_both_ways() -> None:
    assert len(EXAMPLES) >= 5
    assert any(".fire(" in each for each in EXAMPLES)
    assert any(".start(" in each for each in EXAMPLES)
