"""A client that leaves on command."""

import pytest

from rowcast.frontend.background.presence import Presence

from ..threads import at_once


def test_leaving_ends_all_that_is_watched_and_what_comes_later() -> None:
    presence, ended = Presence(), list[str]()
    presence.watch(lambda: ended.append("first"))
    forget = presence.watch(lambda: ended.append("over by then"))
    forget()
    presence.leave()
    presence.leave()
    presence.watch(lambda: ended.append("later"))()
    assert ended == ["first", "later"]


@pytest.mark.parametrize("_", range(20))
def test_each_is_called_once_whichever_thread_leaves(_: int) -> None:
    presence, ended = Presence(), list[int]()

    def watch() -> None:
        presence.watch(lambda: ended.append(1))

    at_once(presence.leave, presence.leave, watch)
    assert ended == [1]
