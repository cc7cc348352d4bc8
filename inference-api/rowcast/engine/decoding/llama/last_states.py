"""From last states in the basis in which a Llama decoder computes to those of the model itself.

states_back(model, kernel) ──▶ a function: states after the last norm ──▶ the model's own, in fp32
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
    """Return a function out of the decoder's basis; None if a part for it is missing."""
    if model.shape.basis == OWN:
        return partial(Tensor.to, dtype=torch.float32, copy=True)
    if not model.has(LAST_WEIGHT):  # in an image of an earlier version
        return None
    weight = model.tensor(LAST_WEIGHT).float()
    turn = Turn(kernel, len(weight))
    return lambda states: turn.back(states) * weight
