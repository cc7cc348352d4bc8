"""Fixtures of the tests of `rowcast.offline`."""

from collections.abc import Iterator

import pytest

from rowcast import LLM


@pytest.fixture(scope="module")
def llm() -> Iterator[LLM]:
    """The scripted model in this program. Leave it as you found it."""
    with LLM("scripted") as llm:
        yield llm
