"""Tasks in this process: the same results and faults, and no limits."""

import pytest

from rowcast.errors import PromptTooLong
from rowcast.offload import tasks
from rowcast.offload.inline import Inline
from rowcast.offload.loading import load_tools
from rowcast.offload.pool import Client
from rowcast.settings import read_settings

ANYBODY = Client()


@pytest.fixture(scope="module")
def inline() -> Inline:
    made = Inline(load_tools(read_settings([], model="scripted")))
    made.start()
    return made


def test_a_task_returns_its_result(inline: Inline) -> None:
    tokens = inline.run(ANYBODY, tasks.encode, "a b", special=False, most=None)
    assert inline.run(ANYBODY, tasks.decode, tokens) == "a b"


def test_a_task_raises_its_fault(inline: Inline) -> None:
    with pytest.raises(PromptTooLong):
        inline.run(ANYBODY, tasks.encode, "a" * 99, special=False, most=1)


def test_it_works_after_it_was_closed(inline: Inline) -> None:
    inline.close()
    assert inline.run(ANYBODY, tasks.decode, []) == ""
