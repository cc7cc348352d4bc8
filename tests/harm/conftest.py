"""Servers with a calm witness of another team, for tests to attack."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from harm.witness import Witness, witnessed

Start = Callable[..., Witness]
STORYTELLER: dict[str, Any] = {
    "MODEL": "storyteller",
    "DTYPE": "float32",
}  # every processor supports it


@pytest.fixture
def scripted(tmp_path: Path) -> Iterator[Witness]:
    """The scripted model at 10 ms per step: quick to start, and light on the processor."""
    with witnessed(tmp_path) as witness:
        yield witness


@pytest.fixture
def storyteller(tmp_path: Path) -> Iterator[Witness]:
    """A model with weights, a subword tokenizer, and masks as large as its vocabulary."""
    with witnessed(tmp_path, **STORYTELLER) as witness:
        yield witness


@pytest.fixture
def watched(tmp_path: Path) -> Iterator[Start]:
    """Start a server with these settings, and its witness; both are ended with the test.

    `characters=2400` makes the prompts of the witness's short requests that long.
    """
    with contextlib.ExitStack() as servers:

        def start(**settings: Any) -> Witness:
            folder = tmp_path / f"server-{len(list(tmp_path.iterdir()))}"
            folder.mkdir()
            return servers.enter_context(witnessed(folder, **settings))

        yield start
