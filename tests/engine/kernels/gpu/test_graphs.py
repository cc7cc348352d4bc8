"""Graphs by key, classes of widths, and numbers at fixed addresses; CUDA itself needs a GPU."""

import pytest
import torch

from rowcast.engine.kernels.gpu.graphs import (
    Graphs,
    Numbers,
    Work,
    capture_for,
    run_again,
    width_class,
)

CPU = torch.device("cpu")


@pytest.mark.parametrize(
    ("count", "wanted"), [(1, 1), (2, 2), (3, 4), (31, 32), (32, 32), (33, 64), (65, 100), (0, 1)]
)
def test_a_class_is_a_power_of_two_or_the_most(count: int, wanted: int) -> None:
    assert width_class(count, 100) == wanted


def test_work_is_recorded_once_for_each_key_and_then_repeated() -> None:
    done: list[str] = []

    def capture(work: Work) -> Work:
        work()
        return lambda: done.append("repeated")

    graphs = Graphs(capture)
    for key in (1, 2, 1):
        graphs.run(key, lambda: done.append("recorded"))
    assert done == ["recorded", "repeated", "recorded", "repeated", "repeated"]


def test_on_a_cpu_work_is_done_each_time() -> None:
    done: list[int] = []
    assert capture_for(CPU) is run_again
    graphs = Graphs(run_again)
    for _ in range(2):
        graphs.run("key", lambda: done.append(1))
    assert len(done) == 2


def test_numbers_are_sent_to_one_address_with_blanks_behind_them() -> None:
    numbers = Numbers(2, 4, CPU)
    address = numbers.on_device.data_ptr()
    numbers.send(([1, 2, 3, 4], 0), (range(4), -1))
    numbers.send(([7], 0), ([5, 6], -1))
    assert numbers.on_device.tolist() == [[7, 0, 0, 0], [5, 6, -1, -1]]
    assert numbers.on_device.data_ptr() == address
    with pytest.raises(ValueError, match="broadcast"):
        numbers.send(([1] * 5, 0), ([], -1))
