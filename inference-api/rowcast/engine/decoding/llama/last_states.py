"""The last states of a model of the Llama form, out of the basis in which it computes.

states_back(model, kernel) ──▶ (states after the last norm) ──▶ what the model itself has, in fp32
"""

from collections.abc import Callable
from functools import partial

import torch
from torch import Tensor

from rowcast.engine.decoding.llama.model import LAST_WEIGHT, OWN, LlamaModel
from rowcast.engine.decoding.llama.orthogonal import Turn
from rowcast.engine.kernels.linear_kernel import LinearKernel

StatesBack = Callable[[Tensor], Tensor]


def states_back(model: LlamaModel, kernel: LinearKernel) -> StatesBack | None:
    """Return what takes last states out of the model's basis; None if a part for it is missing."""
    if model.shape.basis == OWN:
        return partial(Tensor.to, dtype=torch.float32, copy=True)
    if not model.has(LAST_WEIGHT):  # in an image of an earlier version
        return None
    weight = model.tensor(LAST_WEIGHT).float()
    turn = Turn(kernel, len(weight))
    return lambda states: turn.back(states) * weight
