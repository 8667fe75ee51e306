"""Sums over processes through which gradients flow, and gradients summed in one message."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from rhopot.potentials.fitting.communicator import Communicator


class _Sum(torch.autograd.Function):
    """y = sum over processes of x; the loss is the sum of all processes' losses, so dL/dx = sum over them of dL/dy."""

    @staticmethod
    def forward(context: Any, values: Tensor, communicator: Communicator) -> Tensor:
        context.communicator = communicator
        return communicator.sum(values).clone()

    @staticmethod
    def backward(context: Any, gradient: Tensor) -> tuple[Tensor, None]:
        return context.communicator.sum(gradient.contiguous()), None


def differentiable_sum(communicator: Communicator) -> Callable[[Tensor], Tensor]:
    """Return the function that adds a tensor up over the processes, gradients included."""
    if communicator.size == 1:
        return lambda values: values
    return lambda values: _Sum.apply(values, communicator)


def summed(tensors: Sequence[Tensor], communicator: Communicator) -> list[Tensor]:
    """Return the sums over the processes of some tensors, sent together."""
    if communicator.size == 1:
        return list(tensors)
    flat = communicator.sum(torch.cat([t.flatten() for t in tensors]))
    parts = flat.split([t.numel() for t in tensors])
    return [part.reshape(t.shape) for part, t in zip(parts, tensors, strict=True)]
