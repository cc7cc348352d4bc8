"""Tiny models on one thread: on a busy machine two threads would mostly wait for each other."""

import importlib.util

import pytest


@pytest.fixture(scope="session", autouse=True)
def _one_thread() -> None:
    if importlib.util.find_spec("torch"):  # the scripted engine's tests run without it
        import torch  # noqa: PLC0415

        torch.set_num_threads(1)
