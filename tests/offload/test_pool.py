"""The pool of helpers: results, faults, limits, fairness, and helpers that die.

Covers `answer_cache`, `offload/fork_server`, `frames`, `helper`, `offload/limits`,
`offload/loading`, `offload/source`, `offload/tasks`, `offload/worker`.
"""

import contextlib
import os
import signal
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psutil
import pytest

from processes import until
from rowcast.errors import PromptTooLong, StreamCut, TooCostly
from rowcast.offload import tasks
from rowcast.offload.limits import Limits
from rowcast.offload.pool import Client, HelperPool
from rowcast.offload.source import HelperSource
from rowcast.text.rules.grammar import GrammarFault, of_regex

ANYBODY = Client()
# As much work as the caller requests.
TEMPLATE = "{% for a in range(n) %}{% for b in range(9999) %}{% endfor %}{% endfor %}"
COSTLY: tuple[Any, ...] = ([], None, False, {"n": 99_999}, None)


@contextmanager
def pool(**limits: float) -> Iterator[HelperPool]:
    numbers = {"seconds": 1.0, "memory": 256 << 20, **limits}
    with tempfile.NamedTemporaryFile("w", suffix=".jinja") as template:
        template.write(TEMPLATE)
        template.flush()
        model = {"MODEL": "scripted", "CHAT_TEMPLATE": template.name}
        made = HelperPool(HelperSource(Limits(numbers["seconds"], int(numbers["memory"])), model))
        try:
            yield made
        finally:
            made.close()


@pytest.fixture(scope="module")
def helpers() -> Iterator[HelperPool]:
    with pool() as made:
        yield made


def processes() -> list[psutil.Process]:
    """Return the fork servers and helpers of this process."""
    found = []
    for each in psutil.Process().children(recursive=True):
        with contextlib.suppress(psutil.Error):  # it may have just ended
            if "rowcast.offload.fork_server" in " ".join(each.cmdline()):
                found.append(each)
    return found


def test_tasks_return_plain_values(helpers: HelperPool) -> None:
    assert helpers.run(ANYBODY, tasks.encode, "Hi", True, None) == [72, 105]
    assert helpers.run(ANYBODY, tasks.decode, [72, 105]) == "Hi"
    tokens, text = helpers.run(ANYBODY, tasks.chat_prompt, [], None, "turn", {"n": 1}, None)
    assert (list(tokens), text) == ([], "")


def test_faults_of_the_input_are_those_that_the_task_found(helpers: HelperPool) -> None:
    with pytest.raises(GrammarFault, match="not a rule at all"):
        helpers.run(ANYBODY, tasks.lark_rule, "not a rule at all")
    with pytest.raises(PromptTooLong, match="at least 5 tokens; the model's context holds 4"):
        helpers.run(ANYBODY, tasks.encode, "Hello", True, 4)


@pytest.mark.slow
def test_a_task_that_takes_too_long_is_refused_and_helpers_go_on(helpers: HelperPool) -> None:
    with pytest.raises(TooCostly, match="1 s of processor time"):
        helpers.run(ANYBODY, tasks.chat_prompt, *COSTLY)
    assert helpers.run(ANYBODY, tasks.decode, [72]) == "H"


@pytest.mark.slow
def test_a_task_that_takes_too_much_memory_is_refused() -> None:
    with pool(memory=16 << 20) as small:
        with pytest.raises(TooCostly, match="16 MiB of memory"):
            small.run(ANYBODY, tasks.encode, "x" * (4 << 20), True, None)
        assert small.run(ANYBODY, tasks.decode, [72]) == "H"


@pytest.mark.slow
def test_a_slow_task_of_one_team_delays_nobody_else(helpers: HelperPool) -> None:
    """Run six slow tasks, more than there are helpers: other teams' tasks are done meanwhile."""
    outcomes: list[object] = []

    def slow() -> None:
        try:
            helpers.run(Client("greedy"), tasks.chat_prompt, *COSTLY)
        except TooCostly as costly:
            outcomes.append(costly)

    threads = [threading.Thread(target=slow) for _ in range(6)]
    for thread in threads:
        thread.start()
    for number in range(50):
        assert helpers.run(Client("calm"), tasks.decode, [number]) == chr(number)
    assert len(outcomes) < len(threads)  # they are still running
    for thread in threads:
        thread.join()
    assert len(outcomes) == len(threads)


def test_a_slow_task_ends_when_its_client_leaves(helpers: HelperPool) -> None:
    @contextmanager
    def leaves_soon(gone: Callable[[], None]) -> Iterator[None]:
        timer = threading.Timer(0.1, gone)
        timer.start()
        yield
        timer.join()

    before = time.process_time()
    with pytest.raises(StreamCut):
        helpers.run(Client(watch=leaves_soon), tasks.chat_prompt, *COSTLY)
    assert time.process_time() - before < 1
    assert helpers.run(ANYBODY, tasks.decode, [72]) == "H"


@pytest.mark.slow
def test_a_helper_or_a_fork_server_that_is_killed_is_replaced() -> None:
    with pool() as helpers:
        assert helpers.run(ANYBODY, tasks.decode, [72]) == "H"
        for _ in range(3):
            found = processes()
            assert len(found) >= 2
            for each in reversed(found):
                os.kill(each.pid, signal.SIGKILL)
            assert helpers.run(ANYBODY, tasks.decode, [105]) == "i"


def test_nothing_is_left_when_the_pool_is_closed() -> None:
    before = {each.pid for each in processes()}
    with pool() as helpers:
        helpers.run(ANYBODY, tasks.decode, [72])
        assert {each.pid for each in processes()} > before
    until(lambda: {each.pid for each in processes()} == before, "the helpers' end")


def test_results_of_grammars_are_remembered(helpers: HelperPool) -> None:
    first = helpers.run(ANYBODY, tasks.regex_rule, "[0-9]{3}")
    assert helpers.run(ANYBODY, tasks.regex_rule, "[0-9]{3}") == first
    assert first.grammar == of_regex("[0-9]{3}")
