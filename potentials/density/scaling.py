"""Radial scaling: weight of a neighbour by its distance, before its density is expanded.

    u(r) = c / (c + (r / r_0)^m)          rate c > 0, scale r_0 > 0 in A, exponent m

keeps near neighbours and fades far ones, which otherwise dominate because their number grows as r^2. u(0) = 1, so the
centre's own density is not scaled.

In : distances (R,) in A. Out: (3, R), value, first and second derivative.

Reference: M. J. Willatt, F. Musil, M. Ceriotti, Phys. Chem. Chem. Phys. 20, 29661 (2018), doi:10.1039/C8CP05921G
"""

import numpy as np
from pydantic import BaseModel, ConfigDict, Field


class WillattScaling(BaseModel):
    """Hyperparameters of the scaling; call it for its values."""

    model_config = ConfigDict(frozen=True, extra="forbid", use_attribute_docstrings=True)

    rate: float = Field(1.0, gt=0)
    """c of the weight c / (c + (r / r_0)^m). [1]"""
    scale: float = Field(gt=0)
    """r_0, the distance at which the weight is c / (c + 1). [A]"""
    exponent: int = Field(ge=0)
    """m: how fast the weight falls beyond r_0."""

    def __call__(self, distance: np.ndarray) -> np.ndarray:
        """Return (3, R): u, u', u'' at `distance` (R,)."""
        m, x = self.exponent, distance / self.scale
        derivative = m * x ** (m - 1) / self.scale if m > 0 else np.zeros_like(x)
        curvature = m * (m - 1) * x ** (m - 2) / self.scale**2 if m > 1 else np.zeros_like(x)
        value = self.rate / (self.rate + x**m)
        return np.stack(
            [
                value,
                -(value**2) * derivative / self.rate,
                2.0 * value**3 * derivative**2 / self.rate**2 - value**2 * curvature / self.rate,
            ]
        )

    def describe(self) -> str:
        """Say in one line what the scaling is."""
        return f"radial scaling {self.rate:g} / ({self.rate:g} + (r / {self.scale:g} A)^{self.exponent})"


def multiply(first: np.ndarray, second: np.ndarray) -> np.ndarray:
    """Return value, first and second derivative of a product from those of its factors, stacked on axis 0."""
    return np.stack(
        [
            first[0] * second[0],
            first[1] * second[0] + first[0] * second[1],
            first[2] * second[0] + 2.0 * first[1] * second[1] + first[0] * second[2],
        ]
    )
