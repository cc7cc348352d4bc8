"""Real threads that switch as often as possible: no request ever uses a dropped build."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

from processes import until
from rowcast.errors import ReplyCancelled
from rowcast.frontend.models.waiting import ClaimOptions
from rowcast.frontend.request.request import Body, Request
from rowcast.models.messages import Drop, Hold

from ..threads import at_once
from .supervised import Stage, stage

EACH, THREADS, ROUNDS = 20, 4, 4


@pytest.mark.usefixtures("hectic")
def test_a_build_is_held_from_each_claim_to_its_end_whenever_it_is_unpinned(
    tmp_path: Path,
) -> None:
    with stage(tmp_path) as made:
        build = made.build("one")
        made.backend(build)
        made.played.show(made.state(build))
        made.await_names("one")
        for number in range(1, ROUNDS + 1):
            with unpinned_now_and_then(made):
                at_once(*[partial(use, made)] * THREADS)
            made.played.change("one-1", pinned=False)
            until(lambda: made.played.holds["one-1"] == 0, "it is dropped in the end")
            holds, drops = len(made.played.got(Hold)), len(made.played.got(Drop))
            assert holds == drops >= number


def use(made: Stage) -> None:
    """Claim the model again and again; it is held all the while."""
    for _ in range(EACH):
        request = Request(path="/", body=Body(bytes))
        served = made.frontend.model("one", request)
        assert made.played.holds["one-1"] == 1
        assert served.sessions.health().ready
        assert made.played.holds["one-1"] == 1
        request.close()


@contextmanager
def unpinned_now_and_then(made: Stage) -> Iterator[None]:
    """Pin and unpin the build, a few hundred times a second."""
    done = threading.Event()

    def run() -> None:
        while not done.is_set():
            for pinned in (False, True):
                made.played.change("one-1", pinned=pinned)
                done.wait(0.002)

    toggling = threading.Thread(target=run, daemon=True)
    toggling.start()
    yield
    done.set()
    toggling.join(20)


@pytest.mark.usefixtures("hectic")
def test_requests_that_leave_while_a_model_loads_leave_nothing_behind(tmp_path: Path) -> None:
    with stage(tmp_path, comment_seconds=0.001) as made:
        build = made.build("one")
        made.played.show(made.state(build, "loading", loads=0))
        made.await_names("one")
        leavers: list[BaseException] = []

        def leave() -> None:
            for _ in range(EACH):
                request = Request(path="/", body=Body(bytes), watch=_leaves)
                with pytest.raises(ReplyCancelled) as gone:
                    made.frontend.model("one", request, ClaimOptions())
                request.close()
                leavers.append(gone.value)

        at_once(*[leave] * THREADS)
        assert len(leavers) == EACH * THREADS
        slot = made.frontend.models.current[0]
        until(lambda: made.played.holds["one-1"] == 0, "it is dropped")
        assert (slot.claims, slot.waits) == (0, set())
        made.backend(build)
        made.played.change("one-1", state="ready", loads=1)
        made.text("one", "Hi")


def _leaves(gone: Callable[[], None]) -> Callable[[], None]:
    """Watch a client that has left."""
    gone()
    return lambda: None
