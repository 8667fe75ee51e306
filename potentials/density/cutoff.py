"""Cutoff functions: how a neighbour fades out of an environment.

    f_c(r) = 1                      r <= r_c - w
             s((r - r_c + w) / w)   r_c - w < r < r_c
             0                      r >= r_c

    quintic         s(t) = 1 - 10 t^3 + 15 t^4 - 6 t^5     value and two derivatives continuous at both ends: C2
    shifted_cosine  s(t) = (1 + cos(pi t)) / 2             the curvature jumps by pi^2 / (2 w^2) at both ends: C1 only
    step            s(t) = 1                               jumps at the cutoff: for comparisons, not for dynamics

The quintic one is the default, so that energies are C2 (phonons, minimisers and numerical second derivatives need it);
the shifted cosine exists for parity with codes that use it.

In : distances (R,) in A. Out: (3, R), value, first and second derivative in A^-1 and A^-2.
"""

from dataclasses import dataclass
from typing import Literal

import numpy as np
import torch
from torch import Tensor

CutoffKind = Literal["quintic", "shifted_cosine", "step"]
CONTINUITY: dict[str, int] = {"quintic": 2, "shifted_cosine": 1, "step": -1}


@dataclass(frozen=True)
class CutoffFunction:
    """A cutoff function of one kind.

    Args:
        kind: `quintic`, `shifted_cosine` or `step`.
        cutoff: r_c > 0, in A.
        width: transition width w, 0 < w <= cutoff, in A; a step has none.
    """

    kind: CutoffKind
    cutoff: float
    width: float

    @property
    def continuity(self) -> int:
        """Number of continuous derivatives; -1 when the function itself jumps."""
        return CONTINUITY[self.kind]

    @property
    def kinks(self) -> tuple[float, ...]:
        """Distances inside the cutoff at which a higher derivative jumps, in A."""
        start = self.cutoff - self.width
        return (start,) if self.kind != "step" and start > 0 else ()

    def __call__(self, distance: np.ndarray) -> np.ndarray:
        """Return (3, R): f_c, f_c', f_c'' at `distance` (R,)."""
        result = np.zeros((3, *distance.shape))
        inside = distance < self.cutoff
        result[0] = inside
        if self.kind == "step":
            return result
        t = (distance - self.cutoff + self.width) / self.width
        moving = inside & (t > 0)
        values = _quintic(t[moving]) if self.kind == "quintic" else _shifted_cosine(t[moving])
        for order in range(3):
            result[order][moving] = values[order] / self.width**order
        return result

    def describe(self) -> str:
        """Say in one line what the function is and how smooth it is."""
        if self.kind == "step":
            return f"no cutoff function: energies jump at {self.cutoff:g} A; for comparisons only"
        if self.kind == "shifted_cosine":
            return f"shifted cosine over the last {self.width:g} A: C1 only (forces have kinks); quintic is C2"
        return f"quintic polynomial over the last {self.width:g} A: C2"


def quintic_fade(distance: Tensor, cutoff: float, width: float) -> Tensor:
    """Return the quintic f_c at any distances in A, as TorchScript and autograd take it."""
    t = torch.clamp((distance - (cutoff - width)) / width, 0.0, 1.0)
    return 1.0 - t * t * t * (10.0 - t * (15.0 - 6.0 * t))


def _quintic(t: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    value = 1.0 - t**3 * (10.0 - t * (15.0 - 6.0 * t))
    return value, -30.0 * t**2 * (1.0 - t) ** 2, -60.0 * t * (1.0 - t) * (1.0 - 2.0 * t)


def _shifted_cosine(t: np.ndarray) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    cosine, sine = np.cos(np.pi * t), np.sin(np.pi * t)
    return 0.5 * (1.0 + cosine), -0.5 * np.pi * sine, -0.5 * np.pi**2 * cosine
