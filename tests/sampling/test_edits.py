"""Copies to a device: a GPU's are pinned first, and not waited for."""

from typing import Any, cast

import torch
from torch import Tensor

from rowcast.sampling.edits import to_device


class Noted:
    """Stands for a tensor, and lists what is done with it."""

    def __init__(self) -> None:
        self.done: list[tuple[object, ...]] = []

    def pin_memory(self) -> "Noted":
        self.done.append(("pinned",))
        return self

    def to(self, device: torch.device, **how: Any) -> "Noted":
        self.done.append((device.type, how))
        return self


def test_a_copy_to_a_gpu_is_not_waited_for() -> None:
    noted = Noted()
    to_device(cast("Tensor", noted), torch.device("cuda"))
    assert noted.done == [("pinned",), ("cuda", {"non_blocking": True})]


def test_on_a_cpu_values_are_where_they_are_needed() -> None:
    values = torch.arange(3)
    assert to_device(values, torch.device("cpu")) is values
