"""Runs functions in real threads at once, to find what they share without a lock."""

import threading
from collections.abc import Callable

PATIENCE = 20.0


def at_once(*tasks: Callable[[], None]) -> None:
    """Run each task in a thread of its own; raise what one of them raises."""
    start, problems = threading.Barrier(len(tasks)), list[BaseException]()

    def run(task: Callable[[], None]) -> None:
        start.wait(PATIENCE)
        try:
            task()
        except BaseException as problem:  # noqa: BLE001  # raised below
            problems.append(problem)

    threads = [threading.Thread(target=run, args=(task,), daemon=True) for task in tasks]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(PATIENCE)
        assert not thread.is_alive()
    if problems:
        raise problems[0]
