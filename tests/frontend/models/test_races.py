"""Real threads that change places as often as they can: no request ever uses a dropped build."""

import threading
from collections.abc import Callable
from pathlib import Path

import pytest

from processes import until
from rowcast.errors import ReplyCancelled
from rowcast.frontend.models.waiting import Wish
from rowcast.frontend.request.request import Body, Request
from rowcast.models.messages import Drop, Hold

from ..threads import at_once
from .supervised import stage

EACH, THREADS = 60, 4


@pytest.mark.usefixtures("hectic")
def test_a_build_is_held_from_each_claim_to_its_end_whenever_it_is_unpinned(
    tmp_path: Path,
) -> None:
    with stage(tmp_path) as made:
        build = made.build("one")
        made.backend(build)
        made.played.show(made.state(build))
        made.await_names("one")
        done = threading.Event()

        def use() -> None:
            for _ in range(EACH):
                request = Request(path="/", body=Body(bytes))
                served = made.frontend.model("one", request)
                assert made.played.holds["one-1"] == 1
                assert served.sessions.health().ready
                assert made.played.holds["one-1"] == 1
                request.close()

        def unpin() -> None:
            while not done.is_set():
                for pinned in (False, True):
                    made.played.change("one-1", pinned=pinned)
                    done.wait(0.002)

        toggling = threading.Thread(target=unpin, daemon=True)
        toggling.start()
        at_once(*[use] * THREADS)
        done.set()
        toggling.join(20)
        made.played.change("one-1", pinned=False)
        until(lambda: made.played.holds["one-1"] == 0, "it is dropped in the end")
        holds, drops = len(made.played.got(Hold)), len(made.played.got(Drop))
        assert holds == drops > 1


@pytest.mark.usefixtures("hectic")
def test_requests_that_come_and_go_while_a_model_is_loaded_leave_nothing(tmp_path: Path) -> None:
    with stage(tmp_path, comment_seconds=0.001) as made:
        build = made.build("one")
        made.played.show(made.state(build, "loading", loads=0))
        made.await_names("one")
        leavers: list[BaseException] = []

        def leave() -> None:
            for _ in range(EACH):
                request = Request(path="/", body=Body(bytes), watch=_leaves)
                with pytest.raises(ReplyCancelled) as gone:
                    made.frontend.model("one", request, Wish())
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
