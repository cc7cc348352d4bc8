"""Every example of docs/python.md and docs/offline.md runs, on a free port, with no real model."""

import re
from pathlib import Path

import pytest

from page_programs import check_program
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
    port = free_port()
    check_program(adapted(EXAMPLES[number], port), port, tmp_path)


def test_the_pages_have_programs_that_serve_and_programs_that_start_a_server() -> None:
    assert len(EXAMPLES) >= 5
    assert any(".fire(" in each for each in EXAMPLES)
    assert any(".start(" in each for each in EXAMPLES)
