"""How many background requests may start beside other requests."""

import pytest
from msgspec import structs

from rowcast.frontend.background.room import room, share_of
from rowcast.wire import CacheUse, Status


def status(seated: int = 0, waiting: int = 0, rows: int = 32) -> Status:
    return Status("m", "f", 100, rows, seated, waiting, 0)


def test_nothing_starts_while_a_prompt_waits_for_any_model() -> None:
    assert room([status(), status(32, waiting=1)], 16, 0) == 0


def test_running_requests_make_room_for_waiting_prompts() -> None:
    assert room([status(), status(32, waiting=3)], 16, 16) == -3
    assert room([status(32, waiting=30)], 16, 4) == -4


def test_what_waits_for_rows_of_a_running_request_is_no_other_prompt() -> None:
    assert room([status(32, waiting=8)], 16, 40) == 0
    assert room([status(32, waiting=9)], 16, 40) == -1


def test_nothing_starts_while_all_rows_of_a_model_are_taken() -> None:
    assert room([status(32)], 16, 0) == 0
    assert room([status(30)], 16, 0) == 2


def test_nothing_starts_while_there_is_no_memory_for_a_row() -> None:
    def taken(committed: int) -> Status:
        return structs.replace(status(4), cache=CacheUse(1000, committed, 8))

    assert room([taken(950)], 16, 0) == 0
    assert room([taken(400)], 16, 0) == 6
    assert room([taken(4)], 16, 0) == 16


def test_at_most_a_share_is_computed_at_once() -> None:
    assert room([status()], 16, 0) == 16
    assert room([status(12)], 16, 12) == 4
    assert room([status(20)], 16, 20) == 0


def test_models_that_are_not_loaded_have_room_for_the_first_request() -> None:
    assert room([None], 16, 0) == 16
    assert room([], 16, 3) == 13


@pytest.mark.parametrize(
    ("rows", "workers", "share"), [(16, 1, 16), (16, 4, 4), (2, 4, 1), (0, 1, 0)]
)
def test_processes_share_the_share(rows: int, workers: int, share: int) -> None:
    assert share_of(rows, workers) == share
