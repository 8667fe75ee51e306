"""Finite differences of a number in the parameters of a model, for tests of gradients."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor


def directions(parameters: Sequence[Tensor], seed: int) -> list[Tensor]:
    """Return random directions of the parameters' shapes."""
    random = torch.Generator().manual_seed(seed)
    return [torch.randn(p.shape, generator=random, dtype=p.dtype) for p in parameters]


def derivative_along(
    value: Callable[[], Tensor], parameters: Sequence[Tensor], along: Sequence[Tensor], step: float
) -> float:
    """Return the derivative of value() along a direction of the parameters, to fourth order in the step."""

    def shifted(factor: float) -> float:
        with torch.no_grad():
            for p, d in zip(parameters, along, strict=True):
                p.add_(factor * step * d)
        found = float(value().detach())
        with torch.no_grad():
            for p, d in zip(parameters, along, strict=True):
                p.sub_(factor * step * d)
        return found

    return (8 * (shifted(1) - shifted(-1)) - (shifted(2) - shifted(-2))) / (12 * step)
